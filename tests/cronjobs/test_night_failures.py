"""A row that fails stops only itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import Settings

from certifications.models import CertificationType
from cronjobs.models import Run, RunItem
from cronjobs.work import Batch, work_batch
from mentors.models import Mentor, Organisation, StatusChange
from mentors.record_text import EMPTY
from notifications.models import Notification
from tests.conftest import TODAY, Certify
from tests.cronjobs.conftest import Expired
from tests.support.databases import alter
from tests.support.nights import noon, plan_night, run_night

TOMORROW = TODAY + timedelta(days=1)


def break_mentor(mentor: Mentor) -> None:
    """Make the database refuse to pause this mentor."""
    alter("mentors_mentor", f"ADD CONSTRAINT bad_row CHECK (id <> {mentor.pk} OR status = 'active') NOT VALID")


def mend_mentor() -> None:
    alter("mentors_mentor", "DROP CONSTRAINT bad_row")


def die(*arguments: object, **options: object) -> None:
    """Do what a worker does that is killed."""
    raise SystemExit


@pytest.mark.parametrize("max_subtasks", [100, 1])
def test_one_bad_row_stops_only_itself_and_is_tried_again_the_next_night(
    hlf: Organisation, expired: Expired, settings: Settings, max_subtasks: int
) -> None:
    settings.NIGHTLY_MAX_SUBTASKS = max_subtasks
    mentors = expired(5)
    bad = mentors[2]
    break_mentor(bad)

    run = run_night(hlf, TODAY)
    mend_mentor()
    tomorrow = run_night(hlf, TOMORROW)

    failed = run.items.get(mentor=bad)
    retried = tomorrow.items.get()
    assert run.status == Run.Status.PARTIAL
    assert run.counts["pause"] == {"planned": 5, "done": 4, "skipped": 0, "failed": 1}
    assert run.error.in_english() == "1 item failed; the next run tries it again."
    assert (failed.status, failed.attempts) == ("failed", 3)
    assert failed.error.in_english().startswith("IntegrityError: ")
    assert "bad_row" in failed.error.in_english()
    assert (retried.dedupe_key, retried.status) == (failed.dedupe_key, "done")
    assert tomorrow.status == Run.Status.SUCCEEDED
    assert StatusChange.objects.count() == 5


def test_a_batch_that_fails_is_split_into_single_mentors_and_leaves_nothing_behind(
    hlf: Organisation, expired: Expired
) -> None:
    mentors = expired(3)
    break_mentor(mentors[1])
    run = plan_night(hlf, TODAY)

    left = work_batch(run_id=run.pk, batch=Batch(mentor_ids=[mentor.pk for mentor in mentors]), now=noon(TODAY))

    assert left == [Batch(mentor_ids=[mentor.pk]) for mentor in mentors]
    assert not StatusChange.objects.exists()
    assert not Notification.objects.exists()
    assert set(run.items.values_list("status", "attempts")) == {("pending", 0)}


def test_a_failed_item_keeps_its_error_and_waits_longer_each_time(hlf: Organisation, expired: Expired) -> None:
    [bad] = expired(1)
    break_mentor(bad)
    run = plan_night(hlf, TODAY)
    now = noon(TODAY)

    waits = []
    for _ in range(3):
        left = work_batch(run_id=run.pk, batch=Batch(mentor_ids=[bad.pk]), now=now)
        waits.append([batch.countdown for batch in left])
        now += timedelta(minutes=1)

    assert waits == [[5], [10], []]
    assert run.items.get().status == RunItem.Status.FAILED


def test_a_retry_that_comes_too_early_does_nothing(hlf: Organisation, expired: Expired) -> None:
    [bad] = expired(1)
    break_mentor(bad)
    run = plan_night(hlf, TODAY)
    batch = Batch(mentor_ids=[bad.pk])
    work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))

    left = work_batch(run_id=run.pk, batch=batch, now=noon(TODAY) + timedelta(seconds=4))

    assert left == []
    assert run.items.get().attempts == 1


def test_a_run_of_which_everything_failed_is_failed(hlf: Organisation, expired: Expired) -> None:
    [bad] = expired(1)
    break_mentor(bad)

    assert run_night(hlf, TODAY).status == Run.Status.FAILED


def test_a_failing_reminder_of_a_held_run_does_not_use_up_its_pauses(
    at_most_three: Organisation,
    secrecy: CertificationType,
    expired: Expired,
    certify: Certify,
) -> None:
    mentors = expired(4)
    certify(mentors[0], type=secrecy, expires_in=7)
    alter("notifications_notification", "ADD CONSTRAINT bad_row CHECK (kind <> 'night') NOT VALID")

    run = run_night(at_most_three, TODAY)

    assert run.status == Run.Status.HELD
    assert run.items.get(action="remind").status == RunItem.Status.FAILED
    assert set(run.items.filter(action="pause").values_list("status", "attempts", "error")) == {("pending", 0, EMPTY)}


def test_a_careful_batch_counts_its_attempt_before_it_begins_and_gives_up_what_kills_its_worker(
    hlf: Organisation, expired: Expired, monkeypatch: pytest.MonkeyPatch
) -> None:
    [mentor] = expired(1)
    run = plan_night(hlf, TODAY)
    monkeypatch.setattr("cronjobs.work._act", die)
    batch = Batch(mentor_ids=[mentor.pk], count_attempt_first=True)

    for _ in range(3):
        with pytest.raises(SystemExit):
            work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))
    monkeypatch.undo()
    work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))

    item = run.items.get()
    assert (item.status, item.attempts) == ("failed", 3)
    assert item.error.in_english() == "Given up: no worker came back from it."
    assert not StatusChange.objects.exists()


def test_a_careful_batch_that_was_tried_before_is_split(hlf: Organisation, expired: Expired) -> None:
    mentors = expired(2)
    run = plan_night(hlf, TODAY)
    run.items.update(attempts=1)
    ids = [mentor.pk for mentor in mentors]

    left = work_batch(run_id=run.pk, batch=Batch(mentor_ids=ids, count_attempt_first=True), now=noon(TODAY))

    assert left == [Batch(mentor_ids=[pk], count_attempt_first=True) for pk in ids]


class TestOneAttempt:
    """NIGHTLY_MAX_ATTEMPTS=1: each mentor's items are tried once by themselves, neither not at all nor twice."""

    @pytest.fixture(autouse=True)
    def one_attempt(self, settings: Settings) -> None:
        settings.NIGHTLY_MAX_ATTEMPTS = 1

    def test_a_failed_item_is_not_tried_again(self, hlf: Organisation, expired: Expired) -> None:
        [bad] = expired(1)
        break_mentor(bad)
        run = plan_night(hlf, TODAY)

        left = work_batch(run_id=run.pk, batch=Batch(mentor_ids=[bad.pk]), now=noon(TODAY))

        item = run.items.get()
        assert left == []
        assert (item.status, item.attempts) == ("failed", 1)

    @pytest.mark.parametrize("careful", [False, True])
    def test_a_batch_that_fails_is_split_and_every_mentor_has_an_attempt(
        self, hlf: Organisation, expired: Expired, careful: bool
    ) -> None:
        mentors = expired(3)
        break_mentor(mentors[1])
        run = plan_night(hlf, TODAY)

        todo = [Batch(mentor_ids=[mentor.pk for mentor in mentors], count_attempt_first=careful)]
        while todo:
            todo += work_batch(run_id=run.pk, batch=todo.pop(0), now=noon(TODAY))

        items = run.items.order_by("mentor")
        assert [item.status for item in items] == ["done", "failed", "done"]
        assert "bad_row" in items[1].error.in_english()

    def test_a_batch_that_killed_its_worker_is_split_and_every_mentor_has_an_attempt(
        self, hlf: Organisation, expired: Expired, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mentors = expired(2)
        run = plan_night(hlf, TODAY)
        batch = Batch(mentor_ids=[mentor.pk for mentor in mentors], count_attempt_first=True)
        monkeypatch.setattr("cronjobs.work._act", die)
        with pytest.raises(SystemExit):
            work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))
        monkeypatch.undo()

        for single in work_batch(run_id=run.pk, batch=batch, now=noon(TODAY)):
            assert work_batch(run_id=run.pk, batch=single, now=noon(TODAY)) == []

        assert list(run.items.values_list("status", "attempts", "error")) == [("done", 1, EMPTY)] * 2

    def test_what_kills_its_worker_is_given_up_after_one_attempt(
        self, hlf: Organisation, expired: Expired, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [mentor] = expired(1)
        run = plan_night(hlf, TODAY)
        batch = Batch(mentor_ids=[mentor.pk], count_attempt_first=True)
        monkeypatch.setattr("cronjobs.work._act", die)
        with pytest.raises(SystemExit):
            work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))
        monkeypatch.undo()

        work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))

        item = run.items.get()
        assert (item.status, item.attempts) == ("failed", 1)
        assert item.error.in_english() == "Given up: no worker came back from it."
