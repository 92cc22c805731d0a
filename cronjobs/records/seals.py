"""The hash chain of an organisation's runs: each seal holds the digest of a record, and that of the seal before it.

A seal is never changed and never removed. A run that is tried again is sealed again, and its newest seal counts; when
a run is pruned, a last seal without a record digest says so.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import IntegrityError, transaction

from cronjobs.models import Run, Seal
from cronjobs.records.digests import ItemsDigest, digest_seal, facts_of, items_of
from mentors.models import Organisation

log = structlog.get_logger(__name__)

PRUNED = ""  # the record digest of a run that was pruned


def seal(run: Run, *, now: datetime) -> None:
    """Add a link for a closed run to its organisation's chain; nothing if its record is sealed as it is.

    The caller has locked the run.
    """
    items, record_digest = digest_run(run)
    sealed = newest_seal(run)
    if sealed is None or sealed.record_digest != record_digest:
        _append(run, items=items, record_digest=record_digest, now=now)


def seal_pruned(run: Run, *, now: datetime) -> None:
    """Say in the chain that the record of the locked run is pruned; nothing if it does already."""
    sealed = newest_seal(run)
    if sealed is None or sealed.record_digest != PRUNED:
        _append(run, items=0, record_digest=PRUNED, now=now)


def digest_run(run: Run) -> tuple[int, str]:
    """Return how many items a run has, and the digest of its record, as both are in the database."""
    items = ItemsDigest()
    for facts in items_of(run.pk):
        items.add(facts)
    return items.count, items.of_record(facts_of(run))


def newest_seal(run: Run) -> Seal | None:
    return Seal.objects.filter(run_id=run.pk).order_by("-number").first()


def head_of(organisation: Organisation) -> Seal | None:
    """Return the newest link of the organisation's chain."""
    return Seal.objects.filter(organisation=organisation).order_by("-number").first()


def link(head: Seal | None, seal: Seal) -> Seal:
    """Put a seal behind the head of the chain."""
    seal.number = head.number + 1 if head else 1
    seal.digest = digest_seal(head.digest if head else "", vars(seal))
    return seal


def _append(run: Run, *, items: int, record_digest: str, now: datetime) -> None:
    """Insert the next link. Another run of the organisation may be sealed at the same time: the constraint decides.

    The one that comes second waits in its INSERT for the first to commit, and then takes the number after it.
    """
    while True:
        link_ = Seal(organisation=run.organisation, run_id=run.pk, items=items, record_digest=record_digest, at=now)
        try:
            with transaction.atomic():
                link(head_of(run.organisation), link_).save(force_insert=True)
        except IntegrityError as error:
            if "seal_has_one_place" not in str(error):
                raise
            continue
        # With the log the digest leaves the machine, out of reach of who could rebuild the chain.
        log.info(
            "run sealed",
            event_name="run_sealed",
            run_id=str(run.pk),
            organisation=run.organisation.slug,
            number=link_.number,
            digest=link_.digest,
        )
        return
