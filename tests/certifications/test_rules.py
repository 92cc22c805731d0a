"""The rules of the design, section 4, one section a rule, as they can be read off the service.

Rules 8 and 12, of messages, are in test_rules_messages.py; rules 9 and 10, and the resuming of a mentor at the moment a
renewal is recorded, in test_recording.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection

from certifications.coverage import find_gaps, lapsed_types, public_names, uncovered_types
from certifications.models import Certification, CertificationType, Exemption
from certifications.reminders import find_due_reminders
from cronjobs.models import Action, RunItem
from mentors.models import Chapter, Mentor, Organisation, StatusChange, User
from mentors.status import change_status
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.nights import outcomes, run_night


def in_days(days: int) -> date:
    return TODAY + timedelta(days=days)


def is_covered(mentor: Mentor, type: CertificationType, *, on: date = TODAY) -> bool:
    return type not in uncovered_types(mentor=mentor, on=on)


def missing_types(mentor: Mentor) -> list[str]:
    return find_gaps({mentor.pk: TODAY})[mentor.pk].missing


def codes(types: Sequence[CertificationType]) -> list[str]:
    return [type.code for type in types]


def exempt(mentor: Mentor, type: CertificationType, approved_by: User, *, begins: int = 0, ends: int = 0) -> Exemption:
    return Exemption.objects.create(
        mentor=mentor,
        type=type,
        from_on=in_days(begins),
        until_on=in_days(ends),
        reason="The course is full.",
        approved_by=approved_by,
    )


def pause(mentor: Mentor, cause: Mentor.PauseCause = Mentor.PauseCause.MANUAL) -> None:
    change_status(
        {mentor.pk: "asked to"},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.PAUSED,
        cause=cause,
        now=NOW,
    )


def end(mentor: Mentor) -> None:
    change_status(
        {mentor.pk: "moved away"},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.ENDED,
        cause=None,
        now=NOW,
    )


def status(mentor: Mentor) -> tuple[str, str | None]:
    mentor.refresh_from_db()
    return mentor.status, mentor.pause_cause


def configure(organisation: Organisation, **fields: Any) -> Organisation:
    Organisation.objects.filter(pk=organisation.pk).update(**fields)
    organisation.refresh_from_db()
    return organisation


def lapses_on_by_the_database() -> date | None:
    """Return rule 1 of the one certification there is."""
    certification: Any = Certification.objects.with_lapses_on().get()
    lapses_on: date | None = certification.lapses_on
    return lapses_on


PAUSED_AS_EXPIRED = ("paused", "certification_expired")


# Rule 1: lapse.


@pytest.mark.parametrize(
    ("valid_through_expiry_day", "grace_days", "lapses_in"),
    [(True, 0, 11), (False, 0, 10), (True, 5, 16), (False, 5, 15)],
)
def test_a_certification_lapses_the_day_after_its_expiry_day_and_its_grace(
    hlf: Organisation,
    course: CertificationType,
    mentor: Mentor,
    certify: Certify,
    valid_through_expiry_day: bool,
    grace_days: int,
    lapses_in: int,
) -> None:
    configure(hlf, valid_through_expiry_day=valid_through_expiry_day)
    CertificationType.objects.update(grace_days=grace_days)
    certify(mentor, expires_in=10)

    lapses_on = lapses_on_by_the_database()

    mentor.refresh_from_db()
    assert lapses_on == in_days(lapses_in)
    assert mentor.lapses_on == in_days(lapses_in)


def test_an_open_ended_certification_never_lapses(mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=None)

    lapses_on = lapses_on_by_the_database()

    mentor.refresh_from_db()
    assert lapses_on is None
    assert mentor.lapses_on is None


def test_a_certification_to_the_end_of_time_stays_a_date_that_python_can_read(mentor: Mentor, certify: Certify) -> None:
    CertificationType.objects.update(grace_days=32767)

    certify(mentor, expires_on=date.max)

    mentor.refresh_from_db()
    assert mentor.lapses_on == date.max
    assert lapses_on_by_the_database() == date.max


# Rule 1, for the whole mentor: `Mentor.lapses_on`, kept by triggers whatever changes.


def recomputed(mentor: Mentor) -> date | None:
    """Compute `Mentor.lapses_on` from the rows, in Python."""
    organisation = Organisation.objects.get(pk=mentor.organisation_id)
    one_day = 1 if organisation.valid_through_expiry_day else 0
    latest: dict[int, date] = {}
    for held in Certification.objects.filter(mentor=mentor).select_related("type"):
        if held.type.required and held.revoked_at is None:
            lapses_on = date.max
            if held.expires_on:
                lapses_on = held.expires_on + timedelta(days=one_day + held.type.grace_days)
            latest[held.type_id] = max(latest.get(held.type_id, lapses_on), lapses_on)
    first = min(latest.values(), default=date.max)
    return None if first == date.max else first


def add_one(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.create(mentor=mentor, type=course, number="new", issued_on=TODAY, expires_on=in_days(900))


def add_many(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.bulk_create(
        Certification(mentor=mentor, type=type, number="new", issued_on=TODAY, expires_on=in_days(900))
        for type in (course, secrecy)
    )


def prolong_one(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    certification = Certification.objects.get(mentor=mentor, type=course)
    certification.expires_on = in_days(500)
    certification.save()


def prolong_all(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.update(expires_on=in_days(300))


def open_by_sql(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE certifications_certification SET expires_on = NULL WHERE type_id = %s", [course.pk])


def revoke(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.filter(type=course).update(revoked_at=NOW)


def delete_one(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.get(mentor=mentor, type=course).delete()


def delete_all_by_sql(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM certifications_certification")


def hand_over(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    other = Mentor.objects.exclude(pk=mentor.pk).get()
    Certification.objects.filter(mentor=mentor, type=course).update(mentor=other)


def change_its_type(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.filter(mentor=mentor, type=course).update(type=secrecy)


def no_longer_require(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    course.required = False
    course.save()


def require_the_optional(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    CertificationType.objects.update(required=True)


def give_grace(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    CertificationType.objects.update(grace_days=30)


def expire_on_the_day(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Organisation.objects.update(valid_through_expiry_day=False)


@pytest.mark.parametrize(
    "change",
    [
        add_one,
        add_many,
        prolong_one,
        prolong_all,
        open_by_sql,
        revoke,
        delete_one,
        delete_all_by_sql,
        hand_over,
        change_its_type,
        no_longer_require,
        require_the_optional,
        give_grace,
        expire_on_the_day,
    ],
)
def test_the_first_day_not_covered_follows_every_change(
    change: Any,
    enrol: Enrol,
    certify: Certify,
    course: CertificationType,
    secrecy: CertificationType,
    sign_language: CertificationType,
) -> None:
    mentor, other = enrol(), enrol()
    certify(mentor, expires_in=10)
    certify(mentor, type=secrecy, expires_in=20)
    certify(mentor, type=sign_language, expires_in=5)
    certify(other, expires_in=200)
    certify(other, type=sign_language, expires_in=None)

    change(mentor, course, secrecy)

    for each in (mentor, other):
        each.refresh_from_db()
        assert each.lapses_on == recomputed(each)
    assert {mentor.lapses_on, other.lapses_on} != {in_days(11), in_days(201)}


def test_the_first_day_not_covered_leaves_no_trace_in_the_history(mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=10)

    events: Any = Mentor._meta.get_field("events").related_model

    assert events.objects.filter(pgh_obj=mentor).count() == 1


# Rule 2: coverage.


@pytest.mark.parametrize(
    ("valid_through_expiry_day", "grace_days", "expires_in", "covered"),
    [
        (True, 0, 1, True),
        (True, 0, 0, True),
        (True, 0, -1, False),
        (False, 0, 1, True),
        (False, 0, 0, False),
        (True, 3, -3, True),
        (True, 3, -4, False),
        (False, 3, -2, True),
        (False, 3, -3, False),
        (True, 0, None, True),
    ],
)
def test_a_type_is_covered_until_its_certification_lapses(
    hlf: Organisation,
    course: CertificationType,
    mentor: Mentor,
    certify: Certify,
    valid_through_expiry_day: bool,
    grace_days: int,
    expires_in: int | None,
    covered: bool,
) -> None:
    configure(hlf, valid_through_expiry_day=valid_through_expiry_day)
    CertificationType.objects.update(grace_days=grace_days)

    certify(mentor, expires_in=expires_in)

    assert is_covered(mentor, course) is covered
    assert codes(lapsed_types(mentor=mentor, on=TODAY)) == ([] if covered else ["likepersonkurs"])


@pytest.mark.parametrize(("issued", "covered"), [(-1, True), (0, True), (1, False)])
def test_a_type_is_covered_from_the_day_of_issue(
    course: CertificationType, mentor: Mentor, certify: Certify, issued: int, covered: bool
) -> None:
    certify(mentor, issued=issued)

    assert is_covered(mentor, course) is covered


@pytest.mark.parametrize(
    ("begins", "ends", "covered"), [(-5, -1, False), (-5, 0, True), (0, 0, True), (0, 5, True), (1, 5, False)]
)
def test_an_exemption_covers_from_its_first_day_through_its_last(
    course: CertificationType,
    mentor: Mentor,
    certify: Certify,
    olav: User,
    begins: int,
    ends: int,
    covered: bool,
) -> None:
    certify(mentor, expires_in=-30)

    exempt(mentor, course, olav, begins=begins, ends=ends)

    assert is_covered(mentor, course) is covered
    assert (lapsed_types(mentor=mentor, on=TODAY) == []) is covered


def test_an_exemption_covers_its_own_type_and_mentor_only(
    course: CertificationType, secrecy: CertificationType, enrol: Enrol, certify: Certify, olav: User
) -> None:
    exempted, other = enrol(), enrol()
    for mentor in (exempted, other):
        certify(mentor, expires_in=-30)
        certify(mentor, type=secrecy, expires_in=-30)

    exempt(exempted, course, olav)

    assert codes(lapsed_types(mentor=exempted, on=TODAY)) == ["taushetserklaering"]
    assert codes(lapsed_types(mentor=other, on=TODAY)) == ["likepersonkurs", "taushetserklaering"]


def test_a_revoked_certification_covers_nothing(course: CertificationType, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, revoked_at=NOW)

    assert not is_covered(mentor, course)


def test_any_one_certification_of_the_type_covers_it(
    course: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-400, issued=-800)
    certify(mentor, expires_in=10)
    certify(mentor, expires_in=-10)

    assert is_covered(mentor, course)


# Rule 3: lapsed types, and missing ones.


def test_a_required_type_never_held_is_missing_and_not_lapsed(
    course: CertificationType, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)

    assert codes(lapsed_types(mentor=mentor, on=TODAY)) == ["likepersonkurs"]
    assert missing_types(mentor) == ["taushetserklaering"]


@pytest.mark.parametrize("fields", [{"revoked_at": NOW}, {"issued": 1}])
def test_a_type_held_only_by_a_revoked_or_a_coming_certification_is_missing_and_not_lapsed(
    course: CertificationType, mentor: Mentor, certify: Certify, fields: dict[str, Any]
) -> None:
    certify(mentor, **fields)

    assert lapsed_types(mentor=mentor, on=TODAY) == []
    assert missing_types(mentor) == [course.code]


def test_an_optional_type_neither_lapses_nor_is_missing(
    sign_language: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=sign_language, expires_in=-1)

    assert lapsed_types(mentor=mentor, on=TODAY) == []
    assert sign_language.code not in missing_types(mentor)


# Rule 4: pause.


def test_the_night_pauses_an_active_mentor_with_a_lapsed_type_and_logs_it(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    change = StatusChange.objects.get(mentor=mentor)
    assert status(mentor) == PAUSED_AS_EXPIRED
    assert mentor.pause_reason == "Lapsed: likepersonkurs"
    assert (change.from_status, change.to_status, change.cause) == ("active", *PAUSED_AS_EXPIRED)
    assert (change.run_id, change.actor, change.reason) == (run.pk, None, "Lapsed: likepersonkurs")


def test_one_pause_names_all_lapsed_types(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=secrecy, expires_in=-3)
    certify(mentor, expires_in=-1)
    certify(mentor, expires_in=-30)

    run_night(hlf, TODAY)

    item = RunItem.objects.get()
    assert (item.action, item.type) == ("pause", "likepersonkurs,taushetserklaering")


def test_a_mentor_is_paused_on_the_first_day_not_covered_and_not_before(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=0)

    run_night(hlf, TODAY)
    on_the_expiry_day = status(mentor)
    run_night(hlf, in_days(1))

    assert on_the_expiry_day == ("active", None)
    assert status(mentor) == PAUSED_AS_EXPIRED


def test_a_gap_before_a_coming_certification_pauses(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=-1)
    certify(mentor, issued=1)

    run_night(hlf, TODAY)

    assert status(mentor) == PAUSED_AS_EXPIRED


def test_a_missing_type_does_not_pause(
    hlf: Organisation, course: CertificationType, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor)

    run_night(hlf, TODAY)

    assert status(mentor) == ("active", None)


def test_an_organisation_that_does_not_want_it_pauses_nobody(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    configure(hlf, auto_pause=False)
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    assert status(mentor) == ("active", None)
    assert outcomes(run) == []


@pytest.mark.parametrize("cause", ["manual", "certification_revoked"])
def test_a_mentor_paused_for_another_reason_is_left_alone(
    hlf: Organisation, mentor: Mentor, certify: Certify, cause: str
) -> None:
    pause(mentor, Mentor.PauseCause(cause))
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    assert status(mentor) == ("paused", cause)
    assert outcomes(run) == []
    assert StatusChange.objects.count() == 1
    assert not Notification.objects.exists()


def test_an_ended_mentor_is_left_alone(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    end(mentor)
    certify(mentor, expires_in=-1)
    certify(mentor, expires_in=7, number="soon", issued=-3)

    run = run_night(hlf, TODAY)

    assert status(mentor) == ("ended", None)
    assert outcomes(run) == []
    assert not Notification.objects.exists()


def test_an_active_period_has_one_pause_and_the_next_period_has_its_own(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    short = certify(mentor, expires_in=-1)

    for day, expires_in in ((0, -1), (1, 3), (2, 3), (4, 3), (5, 3)):
        Certification.objects.filter(pk=short.pk).update(expires_on=in_days(expires_in))
        run_night(hlf, in_days(day))

    done = RunItem.objects.order_by("id").values_list("action", "run__business_date")
    assert [item for item in done if item[0] != "remind"] == [
        ("pause", in_days(0)),
        ("resume", in_days(1)),
        ("pause", in_days(4)),
    ]


def test_the_night_of_one_organisation_leaves_the_others_alone(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    certify(mentor, expires_in=-1)

    run_night(other, TODAY)

    assert status(mentor) == ("active", None)


# Rule 5: resume.


def paused_by_the_night(organisation: Organisation, mentor: Mentor, certify: Certify) -> Certification:
    expired = certify(mentor, expires_in=-2)
    run_night(organisation, in_days(-1))
    return expired


def test_the_night_resumes_a_mentor_whom_it_paused_and_who_has_renewed(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)

    run = run_night(hlf, TODAY)

    change = StatusChange.objects.latest("id")
    assert status(mentor) == ("active", None)
    assert mentor.pause_reason == ""
    assert outcomes(run) == [("resume", "M0", "done", "resumed")]
    assert (change.from_status, change.to_status, change.run_id) == ("paused", "active", run.pk)


def test_a_renewal_resumes_on_the_day_it_begins(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=1)

    run_night(hlf, TODAY)
    the_day_before = status(mentor)
    run_night(hlf, in_days(1))

    assert the_day_before == PAUSED_AS_EXPIRED
    assert status(mentor) == ("active", None)


def test_a_mentor_is_not_resumed_while_one_lapsed_type_is_left(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=secrecy, expires_in=-2)
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)

    run_night(hlf, TODAY)

    assert status(mentor) == PAUSED_AS_EXPIRED


@pytest.mark.parametrize("cause", ["manual", "certification_revoked"])
def test_only_a_person_resumes_who_was_paused_for_another_reason(
    hlf: Organisation, mentor: Mentor, certify: Certify, cause: str
) -> None:
    certify(mentor)
    pause(mentor, Mentor.PauseCause(cause))

    run_night(hlf, TODAY)

    assert status(mentor) == ("paused", cause)


def test_an_organisation_that_does_not_want_it_resumes_nobody(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)
    configure(hlf, auto_resume=False)

    run_night(hlf, TODAY)

    assert status(mentor) == PAUSED_AS_EXPIRED


@pytest.mark.parametrize("remedy", ["exemption", "no longer required", "revoked", "deleted", "grace"])
def test_a_mentor_is_resumed_whatever_it_is_that_leaves_no_lapsed_type(
    hlf: Organisation, course: CertificationType, mentor: Mentor, certify: Certify, olav: User, remedy: str
) -> None:
    expired = paused_by_the_night(hlf, mentor, certify)
    match remedy:
        case "exemption":
            exempt(mentor, course, olav)
        case "no longer required":
            CertificationType.objects.update(required=False)
        case "revoked":
            Certification.objects.update(revoked_at=NOW)
        case "deleted":
            expired.delete()
        case _:
            CertificationType.objects.update(grace_days=2)

    run_night(hlf, TODAY)

    assert status(mentor) == ("active", None)


def test_the_day_after_an_exemption_ends_the_mentor_is_paused_again(
    hlf: Organisation, course: CertificationType, mentor: Mentor, certify: Certify, olav: User
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    exempt(mentor, course, olav, ends=1)

    statuses = []
    for day in range(3):
        run_night(hlf, in_days(day))
        statuses.append(status(mentor)[0])

    assert statuses == ["active", "active", "paused"]


# Rule 6: remind.


@pytest.mark.parametrize("valid_through_expiry_day", [True, False])
@pytest.mark.parametrize(
    ("days_left", "stage"),
    [(31, None), (30, 30), (29, 30), (15, 30), (14, 14), (8, 14), (7, 7), (1, 7), (0, 7), (-1, None)],
)
def test_a_reminder_has_the_smallest_stage_that_is_reached(
    hlf: Organisation,
    mentor: Mentor,
    certify: Certify,
    days_left: int,
    stage: int | None,
    valid_through_expiry_day: bool,
) -> None:
    configure(hlf, valid_through_expiry_day=valid_through_expiry_day)
    certify(mentor, expires_in=days_left)
    if days_left == 0 and not valid_through_expiry_day:
        stage = None  # it has expired already

    stages = find_due_reminders(organisation=hlf, on=TODAY).values_list("stage", flat=True)

    assert list(stages) == ([] if stage is None else [stage])


@pytest.mark.parametrize(
    ("reminder_days", "stages"),
    [([], []), ([7], [7]), ([0], []), ([3, 90, 7], [7]), ([5], [5]), ([4], []), ([366], [366])],
)
def test_the_stages_are_those_of_the_organisation(
    hlf: Organisation, mentor: Mentor, certify: Certify, reminder_days: list[int], stages: list[int]
) -> None:
    configure(hlf, reminder_days=reminder_days)
    certify(mentor, expires_in=5)

    due = find_due_reminders(organisation=hlf, on=TODAY).values_list("stage", flat=True)

    assert list(due) == stages


def test_an_organisation_without_reminders_has_its_nights_all_the_same(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    configure(hlf, reminder_days=[])
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    assert outcomes(run) == [("pause", "M0", "done", "paused")]


@pytest.mark.parametrize(
    ("valid_through_expiry_day", "begins_after_expiry", "superseded"),
    [
        (True, -30, True),
        (True, 0, True),
        (True, 1, True),  # seamless: the first day not covered
        (True, 2, False),  # a gap of one day
        (False, 0, True),
        (False, 1, False),
    ],
)
def test_a_certification_is_superseded_by_one_that_follows_without_a_gap(
    hlf: Organisation,
    mentor: Mentor,
    certify: Certify,
    valid_through_expiry_day: bool,
    begins_after_expiry: int,
    superseded: bool,
) -> None:
    configure(hlf, valid_through_expiry_day=valid_through_expiry_day)
    certify(mentor, expires_in=7)
    certify(mentor, issued=7 + begins_after_expiry, expires_in=400)

    due = find_due_reminders(organisation=hlf, on=TODAY)

    assert due.exists() is not superseded


@pytest.mark.parametrize(
    ("successor", "superseded"),
    [
        ({"expires_in": 8}, True),
        ({"expires_in": None}, True),
        ({"expires_in": 7, "issued": -1}, False),
        ({"expires_in": 6}, False),
        ({"expires_in": 400, "revoked_at": NOW}, False),
    ],
)
def test_a_certification_is_superseded_only_by_a_valid_one_that_expires_later(
    hlf: Organisation, mentor: Mentor, certify: Certify, successor: dict[str, Any], superseded: bool
) -> None:
    reminded = certify(mentor, expires_in=7)
    certify(mentor, **successor)

    due = find_due_reminders(organisation=hlf, on=TODAY)

    assert due.filter(pk=reminded.pk).exists() is not superseded


def test_a_certification_of_another_type_or_mentor_supersedes_nothing(
    hlf: Organisation, secrecy: CertificationType, enrol: Enrol, certify: Certify
) -> None:
    mentor, other = enrol(), enrol()
    reminded = certify(mentor, expires_in=7)
    certify(mentor, type=secrecy)
    certify(other)

    due = find_due_reminders(organisation=hlf, on=TODAY)

    assert list(due) == [reminded]


@pytest.mark.parametrize(
    ("fields", "is_due"), [({"issued": 0}, True), ({"issued": 1}, False), ({"revoked_at": NOW}, False)]
)
def test_only_a_certification_in_force_is_reminded_of(
    hlf: Organisation, mentor: Mentor, certify: Certify, fields: dict[str, Any], is_due: bool
) -> None:
    certify(mentor, expires_in=7, **fields)

    due = find_due_reminders(organisation=hlf, on=TODAY)

    assert due.exists() is is_due


def test_each_stage_is_reminded_of_once(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=31)

    for day in range(40):
        run_night(hlf, in_days(day), actions=[Action.REMIND])

    reminders = RunItem.objects.order_by("id").values_list("stage", "run__business_date")
    assert list(reminders) == [(30, in_days(1)), (14, in_days(17)), (7, in_days(24))]


def test_after_missed_nights_the_one_right_stage_is_made_up(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=20)
    run_night(hlf, TODAY)

    run_night(hlf, in_days(14))

    assert list(RunItem.objects.order_by("id").values_list("stage", flat=True)) == [30, 7]


def test_a_late_entry_gets_the_stage_that_fits(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    run_night(hlf, TODAY)
    certify(mentor, expires_in=9)

    run_night(hlf, TODAY)

    assert RunItem.objects.get().stage == 14


def test_a_changed_expiry_date_is_reminded_of_anew(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certification = certify(mentor, expires_in=7)
    run_night(hlf, TODAY)

    Certification.objects.filter(pk=certification.pk).update(expires_on=in_days(6))
    run_night(hlf, TODAY)

    assert list(RunItem.objects.order_by("id").values_list("expires_on", "stage")) == [
        (in_days(7), 7),
        (in_days(6), 7),
    ]


# Rule 7: optional types.


def test_an_optional_type_reminds_and_never_pauses(
    hlf: Organisation, sign_language: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=sign_language, expires_in=7)

    runs = [run_night(hlf, in_days(day)) for day in (0, 8)]

    assert [outcomes(run) for run in runs] == [[("remind", "M0", "done", "reminded")], []]
    assert status(mentor) == ("active", None)


# Rule 11: the public page.


def on_the_page(chapter: Chapter, on: date = TODAY) -> list[str]:
    names = public_names(chapter=chapter, on=on)
    return sorted(Mentor.objects.filter(name__in=names).values_list("ref", flat=True))


def test_the_public_page_shows_active_mentors_who_consent_and_are_covered(
    oslo: Chapter, bergen: Chapter, enrol: Enrol, certify: Certify
) -> None:
    cast: dict[str, dict[str, Any]] = {
        "shown": {},
        "never certified": {},
        "not listed": {"listed": False},
        "elsewhere": {"chapter": bergen},
        "paused": {"status": "paused", "pause_cause": "manual"},
        "ended": {"status": "ended"},
    }
    for ref, fields in cast.items():
        mentor = enrol(ref=ref, **fields)
        if ref != "never certified":
            certify(mentor)

    assert on_the_page(oslo) == ["never certified", "shown"]


@pytest.mark.parametrize(("expires_in", "shown"), [(0, True), (-1, False)])
def test_the_public_page_never_shows_a_mentor_with_a_lapsed_type_whatever_became_of_the_night(
    oslo: Chapter, mentor: Mentor, certify: Certify, expires_in: int, shown: bool
) -> None:
    certify(mentor, expires_in=expires_in)

    assert (on_the_page(oslo) == ["M0"]) is shown
    assert status(mentor) == ("active", None)


def test_the_public_page_shows_who_is_exempted_or_lacks_an_optional_type(
    oslo: Chapter,
    course: CertificationType,
    sign_language: CertificationType,
    enrol: Enrol,
    certify: Certify,
    olav: User,
) -> None:
    exempted, optional = enrol(ref="exempted"), enrol(ref="optional")
    certify(exempted, expires_in=-1)
    exempt(exempted, course, olav)
    certify(optional, type=sign_language, expires_in=-1)

    assert on_the_page(oslo) == ["exempted", "optional"]
