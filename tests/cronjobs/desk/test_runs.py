"""Runs at the desk: what they did to whom, what a person decides about them, and the evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from cronjobs.models import Run, RunItem
from mentors.models import Chapter, Mentor, Organisation, User
from mentors.record_text import verbatim
from tests.conftest import Certify, Desk, Enrol
from tests.support.nights import plan_night, run_night

pytestmark = pytest.mark.django_db
MOST = 12
DECISIONS = ("approve", "reject", "retry", "undo")


@pytest.fixture
def run(oslo: Chapter, bergen: Chapter, enrol: Enrol, certify: Certify, today: date) -> Run:
    """A run that paused one mentor of each chapter, and reminded another."""
    for chapter in (oslo, bergen):
        certify(enrol(chapter=chapter, name=f"Paused in {chapter}"), expires_in=-1)
        certify(enrol(chapter=chapter, name=f"Reminded in {chapter}"), expires_in=5)
    return run_night(oslo.organisation, today)


@pytest.fixture
def held(hlf: Organisation, mentor: Mentor, certify: Certify, today: date) -> Run:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    certify(mentor, expires_in=-1)
    return plan_night(Organisation.objects.get(pk=hlf.pk), today)


@pytest.fixture
def foreign(elsewhere: Chapter, today: date) -> Run:
    """A run of another organisation."""
    return Run.objects.create(
        organisation=elsewhere.organisation, business_date=today, trigger=Run.Trigger.MANUAL, actions=["pause"],
        status=Run.Status.HELD, created_at=timezone.now(), counts={},
    )  # fmt: skip


def url(run: Run, name: str = "change") -> str:
    return reverse(f"admin:cronjobs_run_{name}", args=[run.pk])


PageOf = Callable[..., str]


@pytest.fixture
def page_of(desk: Desk) -> PageOf:
    """Return the page of a run as the user reads it: `page_of(olav, run, "?status=failed")`."""

    def read(user: User, run: Run, query: str = "") -> str:
        answer = desk(user).get(url(run) + query)
        assert answer.status_code == 200
        return answer.content.decode()

    return read


def text(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


def fail_one(run: Run) -> RunItem:
    """Let one of the run's pauses have failed."""
    item = run.items.filter(action="pause").first()
    assert item
    RunItem.objects.filter(pk=item.pk).update(status="failed", error=verbatim("OperationalError: gone"))
    counts = run.counts | {"pause": run.counts["pause"] | {"done": 1, "failed": 1}}
    Run.objects.filter(pk=run.pk).update(status="partial", error=verbatim("1 item failed."), counts=counts)
    return item


def test_the_list_says_what_each_run_did(desk: Desk, olav: User, run: Run) -> None:
    page = desk(olav).get(reverse("admin:cronjobs_run_changelist")).content.decode()

    assert "2 paused, 2 reminders" in page
    assert "by a person" in page
    assert "desk-sign desk-good" in page


def test_the_page_says_what_came_of_each_mentor(page_of: PageOf, olav: User, run: Run) -> None:
    fail_one(run)

    page = page_of(olav, run)

    assert "Paused in Bergen" in page
    assert "Reminded in Oslo" in page
    assert "OperationalError: gone" in page
    assert "1 item failed." in page


def test_items_are_filtered_by_action_and_status(page_of: PageOf, olav: User, run: Run) -> None:
    item = fail_one(run)

    failed = page_of(olav, run, "?status=failed")
    reminded = page_of(olav, run, "?action=remind")

    assert [item.mentor.name in failed, "Reminded in Oslo" in failed] == [True, False]
    assert [item.mentor.name in reminded, "Reminded in Oslo" in reminded] == [False, True]


def test_many_items_are_shown_a_page_at_a_time(page_of: PageOf, olav: User, run: Run, enrol: Enrol) -> None:
    RunItem.objects.bulk_create(
        RunItem(
            run=run, action="remind", dedupe_key=str(number), mentor=enrol(name=f"No. {number}!"), at=timezone.now()
        )
        for number in range(50)
    )

    first, second, beyond = (page_of(olav, run, f"?page={number}") for number in (1, 2, 9))

    assert ["No. 45!" in first, "No. 46!" in first, "page=2" in first] == [True, False, True]
    assert ["No. 45!" in second, "No. 46!" in second, "page=1" in second] == [False, True, True]
    assert "Nothing about your mentors." in beyond


def test_a_coordinator_of_a_chapter_sees_her_own_mentors_items(page_of: PageOf, kari: User, run: Run) -> None:
    page = page_of(kari, run)

    assert "Paused in Oslo" in page
    assert "Bergen" not in page


def test_an_auditor_sees_all_items_and_no_way_to_the_mentors(page_of: PageOf, auditor: User, run: Run) -> None:
    page = page_of(auditor, run)

    assert "Paused in Bergen" in page
    assert "/mentors/mentor/" not in page


def test_a_dry_run_shows_what_would_be_done(
    desk: Desk,
    page_of: PageOf,
    olav: User,
    kari: User,
    oslo: Chapter,
    bergen: Chapter,
    enrol: Enrol,
    certify: Certify,
    today: date,
) -> None:
    for chapter in (oslo, bergen):
        certify(enrol(chapter=chapter, name=f"Due in {chapter}"), expires_in=-1)
    dry = Run.objects.create(
        organisation=oslo.organisation, business_date=today, trigger=Run.Trigger.MANUAL, actions=["pause"],
        dry_run=True, status=Run.Status.SUCCEEDED, created_at=timezone.now(), counts={"pause": {"planned": 2}},
    )  # fmt: skip

    own, all_of_it = page_of(kari, dry), page_of(olav, dry)
    evidence = text(desk(kari).get(url(dry, "evidence")))

    assert "would be done" in own
    assert ["Due in Oslo" in own, "Due in Bergen" in own, "Due in Bergen" in all_of_it] == [True, False, True]
    assert ["Due in Oslo" in evidence, "Due in Bergen" in evidence] == [True, False]


@pytest.mark.parametrize("name", ["change", "progress", "evidence", *DECISIONS])
def test_a_run_of_another_organisation_is_not_there(
    desk: Desk, olav: User, kari: User, foreign: Run, name: str
) -> None:
    for user in (olav, kari):
        client = desk(user)

        assert client.get(url(foreign, name)).status_code == 404
        assert client.post(url(foreign, name), {"reason": "Guessed."}).status_code == 404

    foreign.refresh_from_db()
    assert foreign.status == Run.Status.HELD


def test_a_run_that_is_none_is_not_there(desk: Desk, olav: User) -> None:
    client = desk(olav)

    assert client.get(reverse("admin:cronjobs_run_change", args=["17"])).status_code == 404
    assert client.get(reverse("admin:cronjobs_run_change", args=[uuid4()])).status_code == 404


def test_the_list_has_no_runs_of_others(desk: Desk, olav: User, run: Run, foreign: Run) -> None:
    answer = desk(olav).get(reverse("admin:cronjobs_run_changelist"))
    guessed = desk(olav).get(
        reverse("admin:cronjobs_run_changelist"), {"organisation__id__exact": foreign.organisation_id}
    )

    assert list(answer.context["cl"].result_list) == [run]
    assert foreign not in guessed.context["cl"].result_list


@pytest.mark.parametrize("name", DECISIONS)
def test_only_who_leads_the_organisation_decides(
    desk: Desk, page_of: PageOf, kari: User, auditor: User, held: Run, name: str
) -> None:
    for user in (kari, auditor):
        answer = desk(user).post(url(held, name), {"reason": "Because."})

        assert answer.status_code == 403
        assert url(held, name) not in page_of(user, held)

    held.refresh_from_db()
    assert held.status == Run.Status.HELD


def test_approving_a_held_run_sets_it_going(desk: Desk, page_of: PageOf, olav: User, held: Run) -> None:
    client = desk(olav)
    assert url(held, "approve") in page_of(olav, held)

    answer = client.post(url(held, "approve"))

    held.refresh_from_db()
    assert answer.url == url(held)  # type: ignore[attr-defined]
    assert (held.status, held.approved_by) == (Run.Status.RUNNING, "olav")


def test_rejecting_a_held_run_asks_for_the_reason(desk: Desk, olav: User, held: Run) -> None:
    client = desk(olav)

    without = client.post(url(held, "reject"), {"reason": ""})
    client.post(url(held, "reject"), {"reason": "The dates are wrong."})

    held.refresh_from_db()
    assert without.status_code == 422
    assert held.status == Run.Status.PARTIAL
    assert "The dates are wrong." in held.error.in_english()


def test_what_has_been_decided_is_not_decided_again(desk: Desk, olav: User, run: Run) -> None:
    answer = desk(olav).post(url(run, "approve"))

    assert answer.status_code == 422
    assert "is not held" in answer.content.decode()


def test_what_failed_is_tried_again(desk: Desk, page_of: PageOf, olav: User, run: Run) -> None:
    item = fail_one(run)
    assert url(run, "retry") in page_of(olav, run)

    desk(olav).post(url(run, "retry"))

    item.refresh_from_db()
    run.refresh_from_db()
    assert (item.status, run.status) == ("pending", Run.Status.RUNNING)


def test_undoing_says_how_many_and_asks_why(desk: Desk, page_of: PageOf, olav: User, run: Run) -> None:
    client = desk(olav)
    assert url(run, "undo") in page_of(olav, run)

    asked = client.get(url(run, "undo")).content.decode()
    answer = client.post(url(run, "undo"), {"reason": "Wrong dates."}, follow=True)

    assert "The run has paused 2 mentors." in asked
    assert "2 mentors are active again." in answer.content.decode()
    assert not Mentor.objects.filter(status=Mentor.Status.PAUSED).exists()


def test_a_run_at_work_shows_how_far_it_is(desk: Desk, page_of: PageOf, kari: User, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status=Run.Status.RUNNING, finished_at=None)
    run.items.filter(pk__in=run.items.values("pk")[:1]).update(status="pending")

    page = page_of(kari, run)
    progress = desk(kari).get(url(run, "progress"))

    assert 'aria-valuenow="75"' in page
    assert url(run, "progress") in page
    assert progress.json() == {"status": "running", "words": "at work", "is_at_work": True, "percent": 75}
    assert "no-store" in progress.headers["Cache-Control"]


@pytest.mark.parametrize("status", [Run.Status.SUCCEEDED, Run.Status.HELD])
def test_a_run_that_does_not_move_is_not_asked_about(
    desk: Desk, page_of: PageOf, olav: User, run: Run, status: str
) -> None:
    Run.objects.filter(pk=run.pk).update(status=status)

    assert "desk/runs.js" not in page_of(olav, run)
    assert not desk(olav).get(url(run, "progress")).json()["is_at_work"]


@pytest.mark.parametrize("format", ["csv", "json"])
def test_the_evidence_holds_what_is_in_scope(desk: Desk, kari: User, auditor: User, run: Run, format: str) -> None:
    own = desk(kari).get(url(run, "evidence"), {"format": format})
    of_all = desk(auditor).get(url(run, "evidence"), {"format": format})

    found, everything = text(own), text(of_all)
    assert f'filename="hlf-{run.business_date}-{run.pk}.{format}"' in own.headers["Content-Disposition"]
    assert ["Paused in Oslo" in found, "Paused in Bergen" in found] == [True, False]
    assert "Paused in Bergen" in everything
    if format == "json":
        assert len(json.loads(everything)) == 4 + 2  # the run, and the end of the file


def test_evidence_of_an_unknown_kind_is_not_there(desk: Desk, olav: User, run: Run) -> None:
    assert desk(olav).get(url(run, "evidence"), {"format": "exe"}).status_code == 404


def test_a_run_cannot_be_edited(desk: Desk, olav: User, run: Run) -> None:
    desk(olav).post(url(run), {"status": "failed"})

    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED


@pytest.mark.parametrize("name", ["kari", "olav", "auditor"])
def test_its_pages_ask_the_database_as_often_for_many_as_for_few(
    desk: Desk,
    request: pytest.FixtureRequest,
    name: str,
    run: Run,
    enrol: Enrol,
    today: date,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = desk(request.getfixturevalue(name))
    RunItem.objects.bulk_create(
        RunItem(run=run, action="remind", dedupe_key=str(number), mentor=enrol(), at=timezone.now())
        for number in range(40)
    )
    for days in range(1, 41):
        Run.objects.create(
            organisation=run.organisation, business_date=today - timedelta(days=days), trigger=Run.Trigger.SCHEDULE,
            actions=["pause"], status=Run.Status.SUCCEEDED, counts=run.counts,
            created_at=timezone.now() - timedelta(days=days),
        )  # fmt: skip

    for address in (reverse("admin:cronjobs_run_changelist"), url(run), url(run, "progress")):
        with django_assert_max_num_queries(MOST):
            assert client.get(address).status_code == 200
