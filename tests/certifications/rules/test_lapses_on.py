"""`Mentor.lapses_on` is right whoever changes what at the same moment, and a wrong one is found, mended and told."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from certifications.lapses_on import repair_lapses_on
from certifications.models import CertificationType
from certifications.recording import record_certification
from cronjobs import record_text
from cronjobs.monitoring.problems import find_problems
from mentors.models import Mentor, Organisation
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.at_once import side_by_side
from tests.support.commands import run as run_command
from tests.support.nights import noon, run_night

YESTERDAY = TODAY - timedelta(days=1)


def require(course: CertificationType) -> Callable[[], object]:
    """A person makes the type required at the desk."""

    def save() -> None:
        type_ = CertificationType.objects.get(pk=course.pk)
        type_.required = True
        type_.save()

    return save


def give_grace(course: CertificationType) -> Callable[[], object]:
    def save() -> None:
        type_ = CertificationType.objects.get(pk=course.pk)
        type_.grace_days = 5
        type_.save()

    return save


def end_a_day_earlier(course: CertificationType) -> Callable[[], object]:
    def save() -> None:
        organisation = Organisation.objects.get(pk=course.organisation_id)
        organisation.valid_through_expiry_day = False
        organisation.save()

    return save


def create_again(course: CertificationType) -> Callable[[], object]:
    """Operations run the command that updates the organisation and its types."""

    return lambda: run_command(
        "create_organisation", "hlf", "--type", f"{course.code}:required", "--expiry-day-invalid"
    )


def expired(mentor: Mentor, course: CertificationType) -> Callable[[], object]:
    """A person records a certification that has expired."""
    return lambda: record_certification(
        mentor=mentor, type=course, issued_on=TODAY - timedelta(days=365), expires_on=YESTERDAY, now=NOW
    )


def stale(organisation: Organisation) -> dict[str, date | None]:
    """Return the refs of those whose `lapses_on` is not what a new computation gives, with what it gives."""
    before = dict(Mentor.objects.of(organisation).values_list("ref", "lapses_on"))
    repair_lapses_on(organisation)
    after = dict(Mentor.objects.of(organisation).values_list("ref", "lapses_on"))
    return {ref: after[ref] for ref in before if before[ref] != after[ref]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("recorded_first", [True, False], ids=["recorded first", "saved first"])
@pytest.mark.parametrize("setting", [require, give_grace, end_a_day_earlier, create_again])
def test_a_certification_recorded_while_what_it_depends_on_is_saved_is_not_missed(
    hlf: Organisation,
    course: CertificationType,
    mentor: Mentor,
    setting: Callable[[CertificationType], Callable[[], object]],
    recorded_first: bool,
) -> None:
    CertificationType.objects.update(required=setting is not require)
    both = [expired(mentor, course), setting(course)]

    results = side_by_side(*both) if recorded_first else side_by_side(*reversed(both))

    assert not [result for result in results if isinstance(result, Exception)]
    mentor.refresh_from_db()
    assert stale(hlf) == {}
    assert mentor.lapses_on is not None


def plant(mentor: Mentor, lapses_on: date | None) -> None:
    Mentor.objects.filter(pk=mentor.pk).update(lapses_on=lapses_on)


def test_a_wrong_one_is_mended_by_the_next_night_which_says_so(
    hlf: Organisation, mentor: Mentor, enrol: Enrol, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    certify(enrol(), expires_in=300)
    plant(mentor, None)  # somebody in psql

    run = run_night(hlf, TODAY)

    mentor.refresh_from_db()
    assert (mentor.status, mentor.lapses_on) == ("paused", TODAY)
    assert run.repaired == 1
    assert record_text.REPAIRED in run.deviation
    assert f"deviation:{run.pk}" in {problem.key for problem in find_problems(now=noon(TODAY))}


def test_a_night_that_finds_nothing_wrong_says_nothing(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    assert (run.repaired, str(run.deviation)) == (0, "")


@pytest.mark.parametrize("required", [{"a", "b"}, {"a"}, set()], ids=["two", "one", "none"])
@pytest.mark.parametrize("through_expiry_day", [True, False])
def test_the_check_computes_what_the_triggers_compute_whatever_is_held(
    hlf: Organisation, enrol: Enrol, certify: Certify, required: set[str], through_expiry_day: bool
) -> None:
    dice = random.Random(14)
    types = [
        CertificationType.objects.create(
            organisation=hlf, code=code, name=code, required=code in required, grace_days=days
        )
        for code, days in (("a", 0), ("b", 10), ("c", 0))
    ]
    for _ in range(40):
        mentor = enrol()
        for _ in range(dice.randrange(5)):
            revoked_at = dice.choice([None, None, NOW])
            certify(
                mentor, type=dice.choice(types), expires_in=dice.choice([None, -3, 0, 40, 45]), revoked_at=revoked_at
            )
    hlf.valid_through_expiry_day = through_expiry_day
    hlf.save()
    by_triggers = dict(Mentor.objects.values_list("pk", "lapses_on"))
    Mentor.objects.update(lapses_on=YESTERDAY)

    repaired = repair_lapses_on(hlf)

    assert dict(Mentor.objects.values_list("pk", "lapses_on")) == by_triggers
    assert repaired == sum(lapses_on != YESTERDAY for lapses_on in by_triggers.values()) > 20
    assert repair_lapses_on(hlf) == 0


def test_only_the_organisation_that_is_asked_for_is_mended(
    hlf: Organisation, mentor: Mentor, foreigner: Mentor, certify: Certify
) -> None:
    for one in (mentor, foreigner):
        plant(one, TODAY)

    assert repair_lapses_on(hlf) == 1

    foreigner.refresh_from_db()
    assert foreigner.lapses_on == TODAY
