"""A page that has stood open while others worked writes only what its user has changed on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from certifications.models import Certification, CertificationType
from cronjobs.models import CronJob
from cronjobs.schedules.jobs import change_cron_job
from mentors.models import Chapter, Mentor, Organisation, User
from notifications.models import Preference, Webhook
from tests.conftest import NOW, TODAY
from tests.support.at_once import side_by_side, start_beside
from tests.support.desk import filled_in, page, text
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root")


@pytest.fixture
def desk(root: User) -> Client:
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(root)
    return client


def errors_of(answer: Any) -> list[str]:
    forms = [
        answer.context["adminform"].form,
        *[form for one in answer.context["inline_admin_formsets"] for form in one.formset],
    ]
    return [f"{form.prefix}: {dict(form.errors)}" for form in forms if form.errors]


def open_page(desk: Client, row: Any) -> dict[str, str]:
    answer = desk.get(page(row))
    assert answer.status_code == 200
    return filled_in(answer)


# The row; what somebody else writes meanwhile; what the user of the old page writes.
Case = tuple[Any, dict[str, Any], dict[str, Any]]
CASES: dict[str, Callable[[pytest.FixtureRequest], Case]] = {
    "a mentor who withdraws the consent": lambda ask: (
        ask.getfixturevalue("mentor"),
        {"listed": False, "email": "new@example.org", "language": "nn"},
        {"phone": "+4790000000"},
    ),
    "a certification that is renewed": lambda ask: (
        Certification.objects.create(
            mentor=ask.getfixturevalue("mentor"),
            type=ask.getfixturevalue("course"),
            number="A1",
            issued_on=TODAY - timedelta(days=700),
            expires_on=TODAY,
        ),
        {"expires_on": TODAY + timedelta(days=700)},
        {"number": "A2"},
    ),
    "a schedule that is switched off": lambda ask: (
        ask.getfixturevalue("job"),
        {"enabled": False, "pause_note": "Wrong dates were imported."},
        {"alert_after_minutes": 90},
    ),
    "the settings of an organisation": lambda ask: (
        ask.getfixturevalue("hlf"),
        {"auto_pause": False, "reminder_days": [60, 20], "sending_from": time(10), "coordinator_mail": "each"},
        {"name": "HLF Norge"},
    ),
    "a type": lambda ask: (
        ask.getfixturevalue("course"),
        {"required": False, "grace_days": 14, "validity_months": None},
        {"name": "Course"},
    ),
    "a chapter": lambda ask: (ask.getfixturevalue("oslo"), {"slug": "oslo-2"}, {"name": "Oslo og omegn"}),
    "a role": lambda ask: (ask.getfixturevalue("kari").roles.get(), {"chapter": ask.getfixturevalue("bergen")}, {}),
    "how somebody is told": lambda ask: (
        Preference.objects.create(user=ask.getfixturevalue("kari"), channel="email"),
        {"mail": "weekly", "language": "nn"},
        {"address": "kari.nes@example.org"},
    ),
    "an app": lambda ask: (
        Webhook.objects.create(organisation=ask.getfixturevalue("hlf"), url="https://app.example.org/1"),
        {"secret_version": 2},
        {"url": "https://app.example.org/2"},
    ),
    "an account that is closed": lambda ask: (
        ask.getfixturevalue("kari"),
        {"is_active": False, "email": "new@example.org"},
        {"first_name": "Kari"},
    ),
}  # fmt: skip


def write(row: Any, values: dict[str, Any]) -> None:
    if isinstance(row, CronJob):
        change_cron_job(row, **values, by="olav", now=NOW)
    else:
        type(row).objects.filter(pk=row.pk).update(**values)


def values_of(row: Any, names: dict[str, Any]) -> dict[str, Any]:
    row.refresh_from_db()
    return {name: getattr(row, name) for name in names}


@pytest.mark.parametrize("case", CASES)
def test_what_it_did_not_touch_stays_as_others_wrote_it(
    desk: Client, request: pytest.FixtureRequest, case: str
) -> None:
    row, theirs, ours = CASES[case](request)
    form = open_page(desk, row)
    write(row, theirs)

    answer = desk.post(page(row), form | ours)

    assert answer.status_code == 302, errors_of(answer)
    assert values_of(row, theirs | ours) == theirs | ours


@pytest.mark.parametrize("case", [case for case in CASES if case != "a role"])
def test_a_page_just_opened_saves_nothing_but_what_was_written(
    desk: Client, request: pytest.FixtureRequest, case: str
) -> None:
    row, _theirs, ours = CASES[case](request)
    before = type(row).objects.values().get(pk=row.pk)

    answer = desk.post(page(row), open_page(desk, row) | ours)

    after = type(row).objects.values().get(pk=row.pk)
    changed = {name for name in before if before[name] != after[name]}
    assert answer.status_code == 302, errors_of(answer)
    assert changed - {"updated_at"} == set(ours)


def test_what_both_have_changed_is_asked_again(desk: Client, mentor: Mentor) -> None:
    form = open_page(desk, mentor)
    Mentor.objects.filter(pk=mentor.pk).update(phone="+4791111111", language="nn")

    answer = desk.post(page(mentor), form | {"phone": "+4790000000", "ref": "K9"})

    assert "Somebody has changed it meanwhile. Now it is: +4791111111" in text(answer)
    again = filled_in(answer)
    assert (again["phone"], again["ref"], again["language"]) == ("+4790000000", "K9", "nn")
    assert values_of(mentor, {"phone": "", "ref": ""}) == {"phone": "+4791111111", "ref": "M0"}

    answer = desk.post(page(mentor), again)

    assert answer.status_code == 302, errors_of(answer)
    wanted = {"phone": "+4790000000", "ref": "K9", "language": "nn"}
    assert values_of(mentor, wanted) == wanted


@pytest.mark.parametrize("note", ["Wrong dates.\nOlav mends them.", " Wrong dates. ", "Wrong\r\ndates."])
def test_a_browsers_line_breaks_and_blanks_are_no_change(desk: Client, job: CronJob, note: str) -> None:
    write(job, {"enabled": False, "pause_note": note})
    form = open_page(desk, job)
    as_sent = {name: value.replace("\r\n", "\n").replace("\n", "\r\n") for name, value in form.items()}

    answer = desk.post(page(job), as_sent | {"pause_note": "They are mended."})

    assert answer.status_code == 302, errors_of(answer)
    assert values_of(job, {"pause_note": ""}) == {"pause_note": "They are mended."}


def test_the_same_change_by_both_is_none(desk: Client, mentor: Mentor) -> None:
    form = open_page(desk, mentor)
    Mentor.objects.filter(pk=mentor.pk).update(phone="+4790000000")

    assert desk.post(page(mentor), form | {"phone": "+4790000000"}).status_code == 302


@pytest.mark.parametrize(
    ("field", "theirs", "ours", "said"),
    [
        ("listed", False, None, None),  # there are two values only, so both have changed it to the same
        ("language", "nn", "en", "Norsk nynorsk"),
        ("chapter", "bergen", "trondheim", "Bergen"),
    ],
)
def test_what_it_is_now_is_said_in_words(
    desk: Client, mentor: Mentor, bergen: Chapter, field: str, theirs: Any, ours: Any, said: str | None
) -> None:
    if field == "chapter":
        theirs = bergen
        ours = Chapter.objects.create(organisation=mentor.organisation, slug=ours, name="Trondheim").pk
    form = open_page(desk, mentor)
    Mentor.objects.filter(pk=mentor.pk).update(**{field: theirs})
    if ours is None:
        form.pop(field)

    answer = desk.post(page(mentor), form | ({field: ours} if ours is not None else {}))

    assert answer.status_code == (200 if said else 302)
    assert said is None or f"Now it is: {said}" in text(answer)


def test_a_preference_on_the_page_of_a_mentor_is_merged_too(desk: Client, mentor: Mentor) -> None:
    preference = Preference.objects.create(mentor=mentor, channel="email", address="")
    form = open_page(desk, mentor)
    Preference.objects.filter(pk=preference.pk).update(channel="sms", address="+4790000000")

    answer = desk.post(page(mentor), form | {"phone": "+4790000000"})

    assert answer.status_code == 302, errors_of(answer)
    preference.refresh_from_db()
    assert (preference.channel, preference.address) == ("sms", "+4790000000")


def test_the_night_after_an_old_page_pauses_nobody_who_has_renewed(
    desk: Client, hlf: Organisation, mentor: Mentor, course: CertificationType
) -> None:
    held = Certification.objects.create(
        mentor=mentor, type=course, number="A1", issued_on=date(2024, 11, 22), expires_on=TODAY
    )
    form = open_page(desk, held)
    Certification.objects.filter(pk=held.pk).update(expires_on=date(2028, 11, 21))
    desk.post(page(held), form | {"number": "A2"})

    run_night(hlf, TODAY + timedelta(days=1))

    mentor.refresh_from_db()
    assert mentor.status == Mentor.Status.ACTIVE


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("field", ["phone", "email"])
def test_of_two_who_save_at_once_neither_loses_anything(desk: Client, mentor: Mentor, field: str) -> None:
    form = open_page(desk, mentor)

    def others() -> None:
        locked = Mentor.objects.locked().get(pk=mentor.pk)
        locked.listed = False
        locked.save(update_fields=["listed", "updated_at"])

    ours = {"phone": "+4790000000", "email": "new@example.org"}[field]
    _done, answer = side_by_side(others, lambda: desk.post(page(mentor), form | {field: ours}))

    assert answer.status_code == 302  # type: ignore[attr-defined]
    assert values_of(mentor, {"listed": False, field: ours}) == {"listed": False, field: ours}


@pytest.mark.django_db(transaction=True)
def test_a_type_is_saved_while_its_organisation_is_at_work(
    desk: Client, hlf: Organisation, course: CertificationType
) -> None:
    """The organisation's row comes first (docs/rules.md, lock order): nobody waits in a ring."""
    form = open_page(desk, course)

    with transaction.atomic():
        Organisation.objects.select_for_update(no_key=True).get(pk=hlf.pk)
        saved = start_beside(lambda: desk.post(page(course), form | {"name": "Course"}))
        CertificationType.objects.filter(pk=course.pk).update(grace_days=14)

    assert saved().status_code == 302  # type: ignore[attr-defined]
    assert values_of(course, {"name": "", "grace_days": 0}) == {"name": "Course", "grace_days": 14}


def test_a_script_that_has_shown_nothing_writes_what_it_sends(desk: Client, oslo: Chapter) -> None:
    desk.post(page(oslo), {"slug": "oslo", "name": "Oslo og omegn"})

    oslo.refresh_from_db()
    assert oslo.name == "Oslo og omegn"
