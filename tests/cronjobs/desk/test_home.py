"""The home page of the desk answers at a glance, and only what the user may know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from certifications.models import CertificationType
from certifications.record_text import LAPSED
from cronjobs import record_text
from cronjobs.models import CronJob, Incident, Run
from mentors.models import Chapter, Mentor, Organisation, User
from mentors.record_text import verbatim
from notifications.models import Notification
from tests.conftest import Certify, Desk, Enrol
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db
MOST = 12


Home = Callable[..., str]


@pytest.fixture
def home(desk: Desk) -> Home:
    """Return the home page as the user reads it: `home(olav, "?organisation=hlf")`."""

    def read(user: User, address: str = "") -> str:
        answer = desk(user).get(reverse("admin:index") + address)
        assert answer.status_code == 200
        return answer.content.decode()

    return read


def close_night(organisation: Organisation, on: date, **fields: Any) -> Run:
    moment = timezone.now() - (timezone.now().date() - on)
    values = {
        "business_date": on,
        "trigger": Run.Trigger.SCHEDULE,
        "actions": ["pause", "resume", "remind"],
        "status": Run.Status.SUCCEEDED,
        "created_at": moment,
        "started_at": moment,
        "finished_at": moment,
    }
    return Run.objects.create(organisation=organisation, **values | fields)


def dead_letter(mentor: Mentor) -> Notification:
    return Notification.objects.create(
        dedupe_key=f"dead:{mentor.pk}", organisation=mentor.organisation, kind="night", channel="email",
        status="failed", error=verbatim("550 No such mailbox."), recipient_mentor=mentor, about=mentor, language="nb",
        created_at=timezone.now(),
    )  # fmt: skip


def test_it_says_how_the_last_night_went(home: Home, olav: User, enrol: Enrol, certify: Certify, today: date) -> None:
    certify(enrol(), expires_in=-1)
    certify(enrol(), expires_in=30)
    run = run_night(Organisation.objects.get(), today)

    page = home(olav)

    address = reverse("admin:cronjobs_run_change", args=[run.pk])
    assert "all done" in page
    assert f'<a href="{address}?action=pause">1 paused</a>' in page
    assert f'<a href="{address}?action=remind">1 reminder</a>' in page


def test_a_held_run_comes_first_with_a_button(home: Home, olav: User, hlf: Organisation, today: date) -> None:
    held = close_night(
        hlf, today, status=Run.Status.HELD, finished_at=None, counts={"pause": {"planned": 31, "done": 0}}
    )

    page = home(olav)

    assert "It would pause 31 mentors" in page
    assert page.index(reverse("admin:cronjobs_run_change", args=[held.pk])) < page.index("Last night")
    assert "Look and decide" in page


def test_a_coordinator_of_a_chapter_is_not_asked_to_decide(
    home: Home, kari: User, hlf: Organisation, today: date
) -> None:
    close_night(hlf, today, status=Run.Status.HELD, finished_at=None, counts={"pause": {"planned": 31, "done": 0}})

    page = home(kari)

    assert "Look at the run" in page
    assert "Look and decide" not in page


def test_missed_nights_are_named_and_those_switched_off_are_not(
    home: Home, olav: User, hlf: Organisation, today: date
) -> None:
    missed = close_night(hlf, today - timedelta(days=3), status=Run.Status.MISSED)
    close_night(hlf, today - timedelta(days=4), status=Run.Status.MISSED, error=record_text.SWITCHED_OFF())

    page = home(olav)

    assert "1 night of the last thirty never ran:" in page
    assert f'<a href="{reverse("admin:cronjobs_run_change", args=[missed.pk])}">November 18</a>' in page


def test_the_strip_has_a_cell_for_each_of_thirty_nights(home: Home, olav: User, hlf: Organisation, today: date) -> None:
    close_night(hlf, today)
    close_night(hlf, today - timedelta(days=29), status=Run.Status.FAILED)
    close_night(hlf, today - timedelta(days=30))

    page = home(olav)

    assert page.count('class="desk-unseen">Nov. ') + page.count('class="desk-unseen">Oct. ') == 30
    assert '<span class="desk-unseen">Nov. 21, 2026: all done</span>' in page
    assert '<span class="desk-unseen">Oct. 23, 2026: failed</span>' in page
    assert page.count(": no run</span>") == 28


@pytest.mark.parametrize(("first", "shown"), [("succeeded", "all done"), ("missed", "done in part")])
def test_a_run_by_hand_stands_for_a_night_only_if_that_never_ran(
    home: Home, olav: User, hlf: Organisation, today: date, first: str, shown: str
) -> None:
    close_night(hlf, today, status=first)
    close_night(
        hlf, today, status="partial", trigger=Run.Trigger.MANUAL, created_at=timezone.now() + timedelta(hours=1)
    )

    page = home(olav)

    assert f"Nov. 21, 2026: {shown}</span>" in page


def test_the_coming_night_is_told_by_name_and_reason(
    home: Home, olav: User, job: CronJob, enrol: Enrol, certify: Certify
) -> None:
    certify(enrol(name="Liv Moe"), expires_in=0)
    certify(enrol(name="Per Aas"), expires_in=8)
    certify(enrol(name="Nils Dahl"), expires_in=200)

    page = home(olav)

    assert "Sunday Nov. 22, 2026 at 00:30" in page
    assert "Liv Moe" in page
    assert "Kurs has lapsed" in page
    assert "Kurs expires on Nov. 29, 2026 (the reminder of 7 days before)" in page
    assert "Nils Dahl" not in page


def test_the_coming_night_is_that_of_a_day_without_a_run(
    home: Home, olav: User, job: CronJob, hlf: Organisation
) -> None:
    close_night(hlf, date(2026, 11, 22))

    assert "Sunday Nov. 22, 2026 at 00:30" in home(olav)


def test_of_many_the_first_are_shown_and_all_are_counted(
    home: Home, olav: User, job: CronJob, enrol: Enrol, certify: Certify
) -> None:
    for _number in range(17):
        certify(enrol(), expires_in=0)
    certify(enrol(name="Per Aas"), expires_in=8)

    page = home(olav)

    assert "To pause: <strong>17</strong>. To resume: <strong>0</strong>. To remind: <strong>1</strong>." in page
    assert "The first 15 of 18." in page


def test_it_shows_a_coordinator_only_her_own_mentors(
    home: Home, kari: User, olav: User, job: CronJob, oslo: Chapter, bergen: Chapter, enrol: Enrol, certify: Certify
) -> None:
    for chapter in (oslo, bergen):
        certify(enrol(chapter=chapter, name=f"Due in {chapter}"), expires_in=0)
        certify(enrol(chapter=chapter, name=f"Reminded in {chapter}"), expires_in=8)
        certify(
            enrol(chapter=chapter, name=f"Renewed in {chapter}", status="paused", pause_cause="certification_expired")
        )
        paused = enrol(chapter=chapter, name=f"Paused in {chapter}", status="paused", pause_cause="manual")
        dead_letter(paused)

    own, all_of_it = home(kari), home(olav)

    for kind in ("Due", "Reminded", "Renewed", "Paused"):
        assert f"{kind} in Oslo" in own
        assert f"{kind} in Bergen" not in own
        assert f"{kind} in Bergen" in all_of_it
    assert "To pause: <strong>1</strong>. To resume: <strong>1</strong>. To remind: <strong>1</strong>." in own
    assert 'did not arrive <span class="desk-count">1</span>' in own


def test_another_organisation_is_not_there(home: Home, kari: User, olav: User, elsewhere: Chapter) -> None:
    close_night(elsewhere.organisation, date(2026, 11, 21), status=Run.Status.HELD, finished_at=None)

    for user in (kari, olav):
        page = home(user, "?organisation=other")

        assert "Other" not in page
        assert "waits for a decision" not in page


def test_the_chart_counts_by_week_what_expires_and_what_is_renewed(
    home: Home, olav: User, enrol: Enrol, certify: Certify, course: CertificationType, sign_language: CertificationType
) -> None:
    certify(enrol(), expires_in=2)
    certify(enrol(), expires_in=2, type=sign_language)
    renewed = enrol()
    certify(renewed, expires_in=3)
    certify(renewed, expires_in=700, issued=-1)
    certify(enrol(), expires_in=2, revoked_at=timezone.now())
    certify(enrol(), expires_in=91)

    page = home(olav)

    [week] = [row for row in page.split('<tr role="row"') if "Week 48<" in row]
    assert [week.count('--number: 1"><span>1</span>'), week.count("</span>3</a>")] == [3, 1]
    assert "Week 8<" not in page


def test_a_bar_leads_to_as_many_certifications_as_it_says(
    desk: Desk, home: Home, olav: User, enrol: Enrol, certify: Certify, course: CertificationType
) -> None:
    for days in (1, 2, 8, 9, 10):
        certify(enrol(), expires_in=days)
    page = home(olav)
    [week] = [row for row in page.split('<tr role="row"') if "Week 48<" in row]

    answer = desk(olav).get(week.split('href="')[1].split('"')[0].replace("&amp;", "&"))

    assert answer.context["cl"].result_count == 2
    assert "</span>2</a>" in week


def test_who_is_paused_is_told_with_the_reason(home: Home, olav: User, enrol: Enrol, course: CertificationType) -> None:
    enrol(
        name="Liv Moe",
        status="paused",
        pause_cause="certification_expired",
        pause_reason=LAPSED(types=["likepersonkurs"]),
    )
    enrol(name="Per Aas", status="paused", pause_cause="manual", pause_reason=verbatim("On leave."))

    page = home(olav)

    assert "Kurs has lapsed" in page
    assert "paused by a person: On leave." in page
    assert "All 2 who are paused" in page


def test_messages_that_did_not_arrive_are_told_with_the_reason(home: Home, kari: User, mentor: Mentor) -> None:
    letter = dead_letter(mentor)

    page = home(kari)

    assert reverse("admin:notifications_notification_change", args=[letter.pk]) in page
    assert "550 No such mailbox." in page
    assert "notification/?status__exact=failed" in page


@pytest.mark.parametrize(("of_hlf", "user", "is_told"), [
    (True, "kari", True), (True, "auditor", True), (False, "olav", True), (False, "kari", False),
])  # fmt: skip
def test_what_is_wrong_is_told_to_whom_it_concerns(
    home: Home, request: pytest.FixtureRequest, hlf: Organisation, of_hlf: bool, user: str, is_told: bool
) -> None:
    now = timezone.now()
    Incident.objects.create(
        kind="component",
        key="1",
        organisation=hlf if of_hlf else None,
        title=verbatim("Beat is silent"),
        began_at=now,
        seen_at=now,
    )

    page = home(request.getfixturevalue(user))

    assert ("Something is wrong: " in page) is is_told
    assert "Beat is silent" not in page  # the words of operations are theirs


def test_operations_read_what_is_wrong_in_their_own_words(home: Home, hlf: Organisation) -> None:
    now = timezone.now()
    Incident.objects.create(kind="component", key="1", title=verbatim("Beat is silent"), began_at=now, seen_at=now)

    assert "Beat is silent" in home(User.objects.create_superuser("root"))


def test_an_auditor_sees_the_runs_and_nobodys_name(
    home: Home, auditor: User, hlf: Organisation, mentor: Mentor, certify: Certify, today: date
) -> None:
    certify(mentor, expires_in=0)
    dead_letter(mentor)
    close_night(hlf, today)

    page = home(auditor)

    assert "all done" in page
    assert mentor.name not in page
    assert "The coming night" not in page


def test_a_new_organisation_is_told_what_comes_first(home: Home, olav: User) -> None:
    page = home(olav)

    assert "There are no mentors yet." in page
    assert reverse("admin:cronjobs_cronjob_add") in page
    assert "There is no schedule: nothing happens by itself." in page


def test_who_sees_several_organisations_gets_the_one_that_waits_for_a_decision(
    home: Home, hlf: Organisation, elsewhere: Chapter, today: date
) -> None:
    close_night(elsewhere.organisation, today, status=Run.Status.HELD, finished_at=None)
    root = User.objects.create_superuser("root")

    waiting, asked = home(root), home(root, "?organisation=hlf")

    assert "The run of Nov. 21, 2026 waits for a decision" in waiting
    assert "waits for a decision" not in asked
    assert 'href="?organisation=hlf" aria-current="true"' in asked


@pytest.mark.parametrize("name", ["kari", "olav", "auditor", "root"])
def test_it_asks_the_database_as_often_for_many_as_for_few(
    desk: Desk,
    request: pytest.FixtureRequest,
    name: str,
    elsewhere: Chapter,
    job: CronJob,
    enrol: Enrol,
    certify: Certify,
    today: date,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    user = User.objects.create_superuser("root") if name == "root" else request.getfixturevalue(name)
    client = desk(user)
    for days in range(20):
        mentor = enrol(status="paused", pause_cause="manual") if days % 2 else enrol()
        certify(mentor, expires_in=days)
        dead_letter(mentor)
        close_night(job.organisation, today - timedelta(days=days), cron_job=job)

    with django_assert_max_num_queries(MOST):
        answer = client.get(reverse("admin:index"))

    assert answer.status_code == 200
