"""Trying again what failed of a closed run, as long as its day is not over."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from cronjobs import record_text
from cronjobs.models import Run, RunItem
from cronjobs.nightly import RunAlreadyOpen
from mentors.conflicts import ConflictError

log = structlog.get_logger(__name__)


class NothingToRetry(ConflictError):
    """No item of the run may be tried again."""

    code = "nothing_to_retry"


def retry_failed(run_id: UUID, *, now: datetime) -> Run:
    """Make the failed items of a closed run pending again, and the run one at work; the caller sends its batches.

    An item whose key another run has taken meanwhile stays failed. Raises RunAlreadyOpen or NothingToRetry.
    """
    while True:
        try:
            return _reopen(run_id, now=now)
        except IntegrityError as error:
            if "run_is_alone_in_its_organisation" not in str(error):
                raise
            if open_run := Run.objects.open().filter(organisation__runs=run_id).first():
                raise RunAlreadyOpen(open_run) from None
            # The run that was in the way has been closed just now.


@transaction.atomic
def _reopen(run_id: UUID, *, now: datetime) -> Run:
    run = Run.objects.select_related("organisation").select_for_update(of=("self",)).get(pk=run_id)
    if run.is_open:
        raise RunAlreadyOpen(run)
    if run.business_date != run.organisation.local_date(now):
        # By the rules of a past day it would pause who has renewed since.
        raise NothingToRetry(
            _("The day of run %(run)s is over: start a new run, it does what is still due.") % {"run": run.pk}
        )
    run.error = run.error.without(record_text.ITEMS_FAILED)
    run.status, run.started_at, run.finished_at, run.concluded_at = Run.Status.RUNNING, now, None, None
    run.save(update_fields=["error", "status", "started_at", "finished_at", "concluded_at"])
    taken = RunItem.objects.filter(
        dedupe_key=OuterRef("dedupe_key"), status__in=[RunItem.Status.PENDING, RunItem.Status.DONE]
    )
    retried = (
        run.items.filter(status=RunItem.Status.FAILED)
        .exclude(Exists(taken))
        .update(status=RunItem.Status.PENDING, attempts=0, at=now)
    )
    if not retried:
        raise NothingToRetry(_("Nothing of run %(run)s failed that another run has not taken over.") % {"run": run.pk})
    log.info("run retried", event_name="run_retried", run_id=str(run.pk), items=retried)
    return run
