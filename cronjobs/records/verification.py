"""Do the records agree with their seals? Every chain, every run that is still there, and files that were exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from django.db.models import Count, Exists, OuterRef

from cronjobs.models import Run, Seal
from cronjobs.records.digests import AT_ONCE, digest_seal
from cronjobs.records.file_check import FiledRun, FileReport, check_file
from cronjobs.records.seals import PRUNED, digest_run
from mentors.models import Organisation

Progress = Callable[[], None]


def check_chain(
    organisation: Organisation, *, noted: Sequence[str] = (), on_progress: Progress = lambda: None
) -> FileReport:
    """Check an organisation's chain link by link, and every run against its newest seal.

    `noted` are digests of its seals that were kept elsewhere: the chain must still have them.
    """
    report = FileReport(what=organisation.slug)
    report.faults += _check_links(organisation, set(noted))
    newest = Seal.objects.filter(organisation=organisation).order_by("run_id", "-number").distinct("run_id")
    for seal in newest.iterator(AT_ONCE):
        _check_run(seal, report)
        on_progress()
    _check_unsealed(organisation, report)
    _note_reopened(organisation, report)
    return report


def check_exported(path: Path) -> FileReport:
    """Check a file by itself, and the seals that it names against the database. Raises OSError."""
    report, runs = check_file(path)
    for run in runs:
        _check_filed(run, report)
    return report


def _check_links(organisation: Organisation, noted: set[str]) -> list[str]:
    faults, number, previous = [], 0, ""
    for seal in Seal.objects.filter(organisation=organisation).order_by("number").iterator(AT_ONCE):
        number += 1
        if seal.number != number:
            faults.append(f"seals {number} to {seal.number - 1} are missing")
            number = seal.number
        elif digest_seal(previous, vars(seal)) != seal.digest:
            faults.append(f"seal {number} was changed, or the one before it")
        previous = seal.digest
        noted.discard(seal.digest)
    return faults + [f"no seal has the digest {digest}, which was noted down" for digest in sorted(noted)]


def _check_run(seal: Seal, report: FileReport) -> None:
    """Check a run against its newest seal."""
    if seal.record_digest == PRUNED:
        return
    run = Run.objects.filter(pk=seal.run_id).first()
    if run is None:
        report.faults.append(f"run {seal.run_id} is gone, and was not pruned (seal {seal.number})")
        return
    items, digest = digest_run(run)
    report.runs += 1
    report.items += items
    if digest == seal.record_digest:
        return
    if run.concluded_at is None:
        report.notes.append(f"run {run.pk} of {run.business_date} was opened again since seal {seal.number}")
    else:
        more = f"has {abs(items - seal.items)} items {'more' if items > seal.items else 'fewer'}"
        how = "was changed" if items == seal.items else more
        report.faults.append(f"run {run.pk} of {run.business_date} {how} since seal {seal.number}")


def _check_unsealed(organisation: Organisation, report: FileReport) -> None:
    """Every run that was closed since the chain began has a seal."""
    seals = Seal.objects.filter(organisation=organisation)
    runs = Run.objects.real().filter(organisation=organisation, concluded_at__isnull=False)
    unsealed = runs.exclude(Exists(seals.filter(run_id=OuterRef("pk")))).order_by("business_date", "created_at")
    first = seals.order_by("number").first()
    since = unsealed.filter(concluded_at__gte=first.at) if first else unsealed.none()
    report.faults += [f"run {run.pk} of {run.business_date} has no seal" for run in since.iterator(AT_ONCE)]
    if before := unsealed.count() - since.count():
        report.notes.append(f"{before} runs are not sealed: they were closed before the chain began")


def _note_reopened(organisation: Organisation, report: FileReport) -> None:
    """Name the runs that were sealed more than once: somebody had them tried again, or pretends so."""
    seals = Seal.objects.filter(organisation=organisation).exclude(record_digest=PRUNED).order_by()
    times = seals.values_list("run_id").annotate(times=Count("pk")).filter(times__gt=1).order_by("run_id")
    report.notes += [f"run {run_id} was sealed {count} times, as one that is tried again" for run_id, count in times]


def _check_filed(run: FiledRun, report: FileReport) -> None:
    sealed = Seal.objects.filter(run_id=run.run_id).order_by("-number")
    digest = run.seal.get("digest")
    newest = sealed.first()
    if newest is None:
        report.notes.append(f"line {run.line}: this database has no seal of run {run.run_id}")
    elif not sealed.filter(digest=digest).exists():
        report.faults.append(f"line {run.line}: the seal of run {run.run_id} is not in the chain of this database")
    elif newest.digest != digest:
        what = "pruned" if newest.record_digest == PRUNED else "sealed again, as it was tried again"
        report.notes.append(f"line {run.line}: run {run.run_id} was {what} since")
