"""Importing a roster again: what has changed, all or nothing, and who is resumed (rule 5)."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.db import connection

from certifications.mentor_status import end_mentor
from certifications.models import Certification, CertificationType
from certifications.record_text import LAPSED
from certifications.roster import import_roster
from mentors.accounts.scope import Scope
from mentors.models import Chapter, Mentor, Organisation, StatusChange, User
from mentors.status import change_status
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.roster import HEADER, LIV, Import, count_events, line, notes, the_error, verdicts


def snapshot() -> list[object]:
    return [list(model.objects.order_by("pk").values()) for model in (Chapter, Mentor, Certification)]


def test_importing_the_same_again_changes_nothing_at_all(roster: Import) -> None:
    roster(LIV, line(number="C2"))
    before, events = snapshot(), count_events()

    report = roster(LIV, line(number="C2"))

    assert verdicts(report) == ["unchanged", "unchanged"]
    assert (snapshot(), count_events()) == (before, events)


def test_a_later_line_with_the_same_certification_corrects_an_earlier_one(roster: Import) -> None:
    lines = [LIV, line(expires_on="2027-06-30")]

    first = roster(*lines)
    events = count_events()
    second = roster(*lines)

    assert verdicts(first) == ["unchanged", "created"]
    assert notes(first) == [(2, "expires_on", "corrected by line 3")]
    assert Certification.objects.get().expires_on == date(2027, 6, 30)
    assert verdicts(second) == ["unchanged", "unchanged"]
    assert count_events() == events


@pytest.mark.parametrize(
    ("column", "typed"), [("email", "new@example.org"), ("phone", "+4787654321"), ("language", "en")]
)
def test_the_last_line_of_a_mentor_counts(roster: Import, column: str, typed: str) -> None:
    lines = [LIV, line(number="C2", **{column: typed})]

    first = roster(*lines)
    second = roster(*lines)

    assert getattr(Mentor.objects.get(), column) == typed
    assert verdicts(first) == ["created", "created"]
    assert notes(first) == [(2, column, "corrected by line 3")]
    assert verdicts(second) == ["unchanged", "unchanged"]


def test_a_ref_with_another_name_is_an_error_on_the_later_line(roster: Import) -> None:
    report = roster(LIV, line(name="Somebody Else", number="C2"), line(number="C3"), skip_errors=True)

    assert verdicts(report) == ["created", "error", "created"]
    assert the_error(report) == ("name", "mentor_ref already used in this file with another name")


def test_what_has_changed_is_updated(roster: Import, bergen: Chapter) -> None:
    roster(LIV, line(mentor_ref="M2"), line(mentor_ref="M3"))

    report = roster(LIV, line(mentor_ref="M2", chapter="Bergen"), line(mentor_ref="M3", expires_on=""))

    assert verdicts(report) == ["unchanged", "updated", "updated"]
    assert Mentor.objects.get(ref="M2").chapter == bergen
    assert Certification.objects.get(mentor__ref="M3").expires_on is None


def test_an_import_leaves_status_consent_and_revocation_alone(
    roster: Import, enrol: Enrol, certify: Certify, olav: User
) -> None:
    mentor = enrol(ref="M1", listed=False)
    certify(mentor, number="C1", issued=-324, revoked_at=NOW, revoked_reason="Fraud")
    end_mentor(mentor, reason="Moved", actor=olav, now=NOW)

    report = roster(line(issued_on=(TODAY - timedelta(days=324)).isoformat()))

    mentor.refresh_from_db()
    certification = Certification.objects.get()
    assert verdicts(report) == ["updated"]
    assert (mentor.name, mentor.status, mentor.listed) == ("Liv Moe", "ended", False)
    assert (certification.revoked_at, certification.revoked_reason) == (NOW, "Fraud")


def test_another_organisation_with_the_same_refs_is_left_alone(
    roster: Import, hlf: Organisation, tmp_path: Path
) -> None:
    roster(LIV)
    other = Organisation.objects.create(slug="nfb", name="NFB")
    CertificationType.objects.create(organisation=other, code="likepersonkurs", name="Kurs")

    report = import_roster(tmp_path / "roster.csv", organisation=other, now=NOW, create_chapters=True)

    assert verdicts(report) == ["created"]
    assert Mentor.objects.of(hlf).count() == Mentor.objects.of(other).count() == 1


def test_one_wrong_line_keeps_all_lines_out(roster: Import) -> None:
    report = roster(LIV, line(mentor_ref="M2", email="x"))

    assert (report.imported, report.errors) == (False, 1)
    assert not Mentor.objects.exists()


def test_skipping_errors_imports_the_other_lines(roster: Import) -> None:
    report = roster(LIV, line(mentor_ref="M2", email="x"), skip_errors=True)

    assert (report.imported, report.created, report.errors) == (True, 1, 1)
    assert Mentor.objects.get().ref == "M1"


def test_a_dry_run_reports_the_same_and_writes_nothing(roster: Import) -> None:
    roster(LIV)
    lines = [line(expires_on=""), line(mentor_ref="M2", chapter="Tromsø")]
    before, events = snapshot(), count_events()

    dry = roster(*lines, create_chapters=True, dry_run=True)
    after = snapshot(), count_events()
    real = roster(*lines, create_chapters=True)

    assert after == (before, events)
    assert (dry.imported, real.imported) == (False, True)
    assert list(dry.lines) == list(real.lines)


def test_chapters_are_created_on_request_with_slugs_of_their_own(roster: Import) -> None:
    chapters = ["Tromsø", "Sør-Østlandet", "Oslo!", "Ås", "Bærum", "日本"]

    roster(*(line(mentor_ref=f"M{n}", chapter=name) for n, name in enumerate(chapters)), create_chapters=True)

    slugs = dict(Chapter.objects.values_list("name", "slug"))
    assert slugs == {
        "Oslo": "oslo",
        "Oslo!": "oslo-2",
        "Tromsø": "tromso",
        "Sør-Østlandet": "sor-ostlandet",
        "Ås": "as",
        "Bærum": "baerum",
        "日本": "chapter",
    }


@pytest.fixture
def expired(enrol: Enrol, certify: Certify, kari: User) -> Mentor:
    """M1, paused by the night."""
    mentor = enrol(ref="M1", name="Liv Moe")
    certify(mentor, expires_in=-10)
    change_status(
        {mentor.pk: LAPSED(types=["likepersonkurs"])},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.PAUSED,
        cause=Mentor.PauseCause.CERTIFICATION_EXPIRED,
        now=NOW - timedelta(days=9),
    )
    return mentor


def test_a_renewal_in_the_file_resumes_the_mentor_at_once_and_tells_the_coordinator(
    roster: Import, expired: Mentor, kari: User
) -> None:
    report = roster(LIV)
    again = roster(LIV)

    expired.refresh_from_db()
    assert (expired.status, report.resumed, again.resumed) == ("active", 1, 0)
    change = StatusChange.objects.get(to_status="active")
    assert (change.mentor, change.cause, change.at) == (expired, "certification_expired", NOW)
    assert Notification.objects.inbox_of(kari, scope=Scope.of(kari)).get().about == expired


@pytest.mark.parametrize(
    ("changes", "options"),
    [({"expires_on": "2026-11-20"}, {}), ({}, {"dry_run": True}), ({"certification": "tegnsprak"}, {})],
)
def test_a_mentor_who_has_not_renewed_stays_paused(
    roster: Import, sign_language: object, expired: Mentor, changes: dict[str, str], options: dict[str, bool]
) -> None:
    roster(line(**changes), **options)

    expired.refresh_from_db()
    assert expired.status == "paused"
    assert not Notification.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_wait_for_each_other_and_double_nothing(
    hlf: Organisation, course: CertificationType, tmp_path: Path
) -> None:
    lines = [
        line(mentor_ref=f"M{n}", chapter=f"Chapter {n % 7}", expires_on=f"2027-01-{n % 28 + 1:02}") for n in range(150)
    ]
    files = [tmp_path / "forwards.csv", tmp_path / "backwards.csv"]
    files[0].write_text("\n".join([HEADER, *lines]))
    files[1].write_text("\n".join([HEADER, *reversed(lines)]))
    together = threading.Barrier(4)
    reports = []

    def work(file: Path) -> None:
        try:
            together.wait()
            reports.append(import_roster(file, organisation=hlf, now=NOW, create_chapters=True))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(file,)) for file in files * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(report.created for report in reports) == [0, 0, 0, 150]
    assert (Mentor.objects.count(), Certification.objects.count(), Chapter.objects.count()) == (150, 150, 7)
    assert count_events() == [150, 150]
