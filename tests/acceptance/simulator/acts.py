"""What people, imports and the machinery do in a history: each as its interface does it, by the product's functions.

Every act reads what it needs and the clock when it begins, as a request or a task does.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from certifications import courses, extensions, mentor_status, recording, roster
from certifications.models import Certification, CertificationType, Extension
from cronjobs import starting, undo
from cronjobs.models import Run
from cronjobs.nightly import ALL_ACTIONS, reject_run
from cronjobs.records import retention
from cronjobs.schedules.jobs import change_cron_job
from mentors.enrolment import change_mentor
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from tests.acceptance.simulator.world import BOARDS, job_of

REASON = "because"


def board_of(organisation_id: int) -> User:
    return User.objects.get(username=BOARDS[organisation_id - 1])


def record(mentor_id: int, type_id: int, number: str, issued_on: date, expires_on: date | None) -> None:
    mentor = Mentor.objects.get(pk=mentor_id)
    recording.record_certification(
        mentor=mentor,
        type=CertificationType.objects.get(pk=type_id),
        number=number,
        issued_on=issued_on,
        expires_on=expires_on,
        actor=board_of(mentor.organisation_id),
        now=timezone.now(),
    )


def change(certification_id: int, **fields: Any) -> None:
    certification = Certification.objects.select_related("mentor", "type").get(pk=certification_id)
    actor = board_of(certification.mentor.organisation_id)
    recording.change_certification(certification, actor=actor, now=timezone.now(), **fields)


def remove(certification_id: int) -> None:
    recording.remove_certification(Certification.objects.select_related("mentor").get(pk=certification_id))


def revoke(certification_id: int) -> None:
    certification = Certification.objects.select_related("mentor", "type").get(pk=certification_id)
    actor = board_of(certification.mentor.organisation_id)
    recording.revoke_certification(certification, reason=REASON, actor=actor, now=timezone.now())


def exempt(mentor_id: int, type_id: int, from_on: date, until_on: date) -> None:
    mentor = Mentor.objects.get(pk=mentor_id)
    recording.grant_exemption(
        mentor=mentor,
        type=CertificationType.objects.get(pk=type_id),
        from_on=from_on,
        until_on=until_on,
        reason=REASON,
        approved_by=board_of(mentor.organisation_id),
        now=timezone.now(),
    )


def extend(certification_ids: Collection[int], days: int, organisation_id: int) -> None:
    until = extensions.Until(days=days)
    by = board_of(organisation_id)
    extensions.extend_certifications(certification_ids, until=until, reason=REASON, by=by, now=timezone.now())


def undo_extension(extension_id: int) -> None:
    extension = Extension.objects.get(pk=extension_id)
    by = board_of(extension.organisation_id)
    extensions.undo_extension(extension, reason=REASON, by=by, now=timezone.now())


def record_course(type_id: int, mentor_ids: Collection[int], issued_on: date, expires_on: date | None) -> None:
    type = CertificationType.objects.select_related("organisation").get(pk=type_id)
    course = courses.Course(type=type, issued_on=issued_on, expires_on=expires_on, number="course")
    actor = board_of(type.organisation_id)
    courses.record_course(course, mentor_ids=mentor_ids, actor=actor, now=timezone.now())


def import_roster(organisation_id: int, lines: list[tuple[str, str, str, str]]) -> None:
    """Import a file; each line has a mentor's ref, a type's code, and the days of issue and expiry."""
    organisation = Organisation.objects.get(pk=organisation_id)
    known = {mentor.ref: mentor for mentor in Mentor.objects.of(organisation).select_related("chapter")}
    with NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("chapter,mentor_ref,name,email,phone,language,certification,number,issued_on,expires_on\n")
        for ref, code, issued_on, expires_on in lines:
            mentor = known[ref]
            file.write(
                f"{mentor.chapter.name},{ref},{mentor.name},{mentor.email},,en,{code},R,{issued_on},{expires_on}\n"
            )
        file.flush()
        roster.import_roster(Path(file.name), organisation=organisation, now=timezone.now())


def pause(mentor_id: int) -> None:
    mentor = Mentor.objects.get(pk=mentor_id)
    mentor_status.pause_mentor(mentor, reason=REASON, actor=board_of(mentor.organisation_id), now=timezone.now())


def reactivate(mentor_id: int, exempt_days: int | None) -> None:
    mentor = Mentor.objects.select_related("organisation").get(pk=mentor_id)
    now = timezone.now()
    until = None if exempt_days is None else mentor.organisation.local_date(now) + timedelta(days=exempt_days)
    actor = board_of(mentor.organisation_id)
    mentor_status.reactivate_mentor(mentor, reason=REASON, actor=actor, now=now, exempt_until=until)


def end(mentor_id: int) -> None:
    mentor = Mentor.objects.get(pk=mentor_id)
    mentor_status.end_mentor(mentor, reason=REASON, actor=board_of(mentor.organisation_id), now=timezone.now())


def describe(mentor_id: int, **fields: Any) -> None:
    change_mentor(Mentor.objects.select_related("organisation").get(pk=mentor_id), **fields)


def move(mentor_id: int, chapter_id: int) -> None:
    describe(mentor_id, chapter=Chapter.objects.get(pk=chapter_id))


def set_of_type(type_id: int, **fields: Any) -> None:
    """Save the form of a type."""
    _save(CertificationType.objects.get(pk=type_id), fields)


def set_of_organisation(organisation_id: int, **fields: Any) -> None:
    """Save the form of an organisation."""
    _save(Organisation.objects.get(pk=organisation_id), fields)


def _save(row: Any, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    row.full_clean()
    with transaction.atomic():  # as the admin does
        row.save()


def set_of_job(organisation_id: int, **fields: Any) -> None:
    change_cron_job(job_of(organisation_id), now=timezone.now(), **fields)


def give_role(username: str, organisation_id: int, chapter_id: int | None) -> None:
    user = User.objects.get(username=username)
    chapter = chapter_id and Chapter.objects.get(pk=chapter_id)
    CoordinatorRole.objects.get_or_create(user=user, organisation_id=organisation_id, chapter=chapter)


def end_roles(username: str) -> None:
    CoordinatorRole.objects.filter(user__username=username).delete()


def set_active(username: str, is_active: bool) -> None:
    User.objects.filter(username=username).update(is_active=is_active)


def run_by_hand(organisation_id: int, days: int, approved: bool) -> None:
    organisation = Organisation.objects.get(pk=organisation_id)
    now = timezone.now()
    starting.execute_expiry_check(
        organisation=organisation,
        business_date=organisation.local_date(now) + timedelta(days=days),
        actions=ALL_ACTIONS,
        approved=approved,
        now=now,
    )


def approve(run_id: UUID) -> None:
    starting.approve(run_id, by=BOARDS[0], now=timezone.now())


def reject(run_id: UUID) -> None:
    reject_run(run_id, by=BOARDS[0], reason=REASON, now=timezone.now())


def retry_run(run_id: UUID) -> None:
    starting.retry(run_id, now=timezone.now())


def undo_run(run_id: UUID) -> None:
    actor = board_of(Run.objects.get(pk=run_id).organisation_id)
    undo.undo_pauses(run_id, reason=REASON, actor=actor, now=timezone.now())


def prune() -> None:
    retention.prune(now=timezone.now())
