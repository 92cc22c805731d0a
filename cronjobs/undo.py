"""Undoing a run: everybody whom it paused is active again, with the reason in the log."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from certifications.mentor_status import announce_changes
from cronjobs.models import Run
from mentors.conflicts import ConflictError
from mentors.models import Mentor, StatusChange, User
from mentors.record_text import verbatim
from mentors.status import change_status
from notifications.models import Notification

log = structlog.get_logger(__name__)


class RunStillOpen(ConflictError):
    """The run may pause more mentors yet."""

    code = "run_is_open"
    messages: ClassVar[dict[Run.Status, StrPromise]] = {
        Run.Status.PLANNED: _("Run %(run)s is still planned: undo it when it is closed."),
        Run.Status.RUNNING: _("Run %(run)s is still running: undo it when it is closed."),
        Run.Status.HELD: _("Run %(run)s is still held: reject it instead."),
    }

    def __init__(self, run: Run) -> None:
        super().__init__(self.messages[Run.Status(run.status)] % {"run": run.pk}, id=run.pk)


@transaction.atomic
def undo_pauses(run_id: UUID, *, reason: str, actor: User, now: datetime) -> set[int]:
    """Reverse the pauses of a run and return the mentors' ids; whoever has changed since then is left alone.

    It is for a night that worked on wrong dates. Mend them first, or the next night pauses the same mentors again.
    Raises RunStillOpen.
    """
    # Locked, so that a retry waits and does not pause behind our back.
    run = Run.objects.select_related("organisation").select_for_update(of=("self",)).get(pk=run_id)
    if run.is_open:
        raise RunStillOpen(run)
    by_the_run = StatusChange.objects.filter(run_id=run_id, to_status=Mentor.Status.PAUSED)
    latest_change = StatusChange.objects.filter(mentor=OuterRef("pk")).order_by("-pk")
    unchanged_since = (
        Mentor.objects.paused_because_expired()
        .filter(pk__in=by_the_run.values("mentor"))
        .annotate(latest_run=Subquery(latest_change.values("run_id")[:1]))
        .filter(latest_run=run_id)
    )
    mentor_ids = unchanged_since.locked().values_list("pk", flat=True)
    changes = change_status(
        dict.fromkeys(mentor_ids, verbatim(reason)),
        from_status=Mentor.Status.PAUSED,
        to_status=Mentor.Status.ACTIVE,
        cause=Mentor.PauseCause.CERTIFICATION_EXPIRED,
        now=now,
        actor=actor,
    )
    announce_changes(Notification.Kind.RESUME, changes, organisation=run.organisation, now=now)
    log.info("run undone", event_name="run_undone", run_id=str(run_id), mentors=len(changes))
    return set(changes)
