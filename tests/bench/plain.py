"""The plain way: one transaction a mentor, written with the ORM as any competent Django developer would.

It is told who is due, which a plain nightly job would have to find out, and it does what the night does when nothing
goes wrong: no claim, no batch, no brake, no retry.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_date

from certifications.coverage import lapsed_types
from certifications.models import Certification, CertificationType
from certifications.record_text import LAPSED, NOT_LAPSED
from cronjobs import record_text
from cronjobs.models import Action, Run, RunItem
from mentors.models import CoordinatorRole, Mentor, StatusChange
from mentors.record_text import EMPTY, RecordText
from notifications.channels import EMAIL, INBOX
from notifications.models import Notification

OUTCOMES = {
    Action.PAUSE: record_text.PAUSED(),
    Action.RESUME: record_text.RESUMED(),
    Action.REMIND: record_text.REMINDED(),
}


@shared_task(name="bench.check_mentor")
def check_mentor_task(mentor_id: int, run_id: str, on: str) -> None:
    check_mentor(mentor_id, run_id=UUID(run_id), on=parse_date(on) or date.max)


@transaction.atomic
def check_mentor(mentor_id: int, *, run_id: UUID, on: date) -> None:
    """Pause, resume or remind one mentor."""
    now = timezone.now()
    mentor = Mentor.objects.select_for_update(of=("self",)).select_related("organisation").get(pk=mentor_id)
    run = Run.objects.get(pk=run_id)
    types = lapsed_types(mentor=mentor, on=on)
    lapsed = [type.code for type in types]
    if mentor.status == Mentor.Status.ACTIVE and lapsed:
        _change_status(
            mentor, Mentor.Status.PAUSED, LAPSED(types=lapsed), run=run, now=now, paused_for=[type.pk for type in types]
        )
        key = f"pause:{mentor.pk}:{_last_change(mentor, to=Mentor.Status.ACTIVE)}"
        _record(mentor, Action.PAUSE, key, run=run, now=now, type=",".join(lapsed))
    elif mentor.pause_cause == Mentor.PauseCause.CERTIFICATION_EXPIRED and not lapsed:
        key = f"resume:{mentor.pk}:{_last_change(mentor, to=Mentor.Status.PAUSED)}"
        _change_status(mentor, Mentor.Status.ACTIVE, NOT_LAPSED(), run=run, now=now)
        _record(mentor, Action.RESUME, key, run=run, now=now)
    for certification, stage in _expiring(mentor, on=on):
        _record(
            mentor,
            Action.REMIND,
            f"remind:{certification.pk}:{certification.expires_on}:{stage}",
            run=run,
            now=now,
            type=certification.type.code,
            certification=certification,
            number=certification.number,
            expires_on=certification.expires_on,
            stage=stage,
        )


def _last_change(mentor: Mentor, *, to: Mentor.Status) -> int:
    change = mentor.status_changes.filter(to_status=to).order_by("-id").first()
    return change.pk if change else 0


def _change_status(
    mentor: Mentor,
    status: Mentor.Status,
    reason: RecordText,
    *,
    run: Run,
    now: datetime,
    paused_for: list[int] | None = None,
) -> None:
    before, mentor.status = mentor.status, status
    pauses = status == Mentor.Status.PAUSED
    mentor.pause_cause = Mentor.PauseCause.CERTIFICATION_EXPIRED if pauses else None
    mentor.pause_reason = reason if pauses else EMPTY
    mentor.save(update_fields=["status", "pause_cause", "pause_reason", "updated_at"])
    StatusChange.objects.create(
        mentor=mentor,
        from_status=before,
        to_status=status,
        cause=Mentor.PauseCause.CERTIFICATION_EXPIRED,
        reason=reason,
        run_id=run.pk,
        at=now,
        paused_for=paused_for,
        business_date=run.business_date,
    )


def _expiring(mentor: Mentor, *, on: date) -> list[tuple[Certification, int]]:
    certifications = list(mentor.certifications.filter(revoked_at=None).select_related("type"))
    stages = sorted(mentor.organisation.reminder_days)
    due = []
    for certification in certifications:
        if certification.expires_on is None or certification.issued_on > on or certification.expires_on < on:
            continue
        stage = next((days for days in stages if certification.expires_on <= on + timedelta(days=days)), None)
        if stage is not None and not any(_supersedes(other, certification) for other in certifications):
            due.append((certification, stage))
    return due


def _supersedes(other: Certification, certification: Certification) -> bool:
    assert certification.expires_on
    return (
        other.type_id == certification.type_id
        and (other.expires_on is None or other.expires_on > certification.expires_on)
        and other.issued_on <= certification.expires_on + timedelta(days=1)
    )


def _record(mentor: Mentor, action: Action, key: str, *, run: Run, now: datetime, **about: Any) -> None:
    """Write the ledger's row and the messages."""
    item = RunItem.objects.create(
        run=run,
        action=action,
        dedupe_key=key,
        mentor=mentor,
        status=RunItem.Status.DONE,
        outcome=OUTCOMES[action],
        at=now,
        **about,
    )
    codes = [code for code in item.type.split(",") if code]
    types = CertificationType.objects.filter(organisation=mentor.organisation_id, code__in=codes).order_by("code")
    facts: dict[str, Any] = {
        "kind": action, "key": key, "types": item.type, "names": [type.name for type in types],
    }  # fmt: skip
    if item.certification_id:
        facts |= {
            "certification_id": item.certification_id,
            "expires_on": str(item.expires_on),
            "stage": item.stage,
        }
    message = {
        "organisation": mentor.organisation,
        "about": mentor,
        "run_id": run.pk,
        "context": {"events": [facts]},
        "created_at": now,
    }
    for role in CoordinatorRole.objects.filter(chapter=mentor.chapter_id, user__is_active=True):
        Notification.objects.create(
            dedupe_key=f"{key}:inbox:{role.user_id}",
            kind=action,
            channel=INBOX,
            recipient_user_id=role.user_id,
            language=mentor.organisation.language,
            status=Notification.Status.SENT,
            sent_at=now,
            **message,
        )
    if mentor.email:
        Notification.objects.create(
            dedupe_key=f"{key}:email:mentor",
            kind=Notification.Kind.NIGHT,
            channel=EMAIL,
            recipient_mentor=mentor,
            language=mentor.language,
            next_attempt_at=mentor.organisation.next_sending_time(now),
            **message,
        )
