"""Runs, and the ledger of what each had to do and did."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from certifications.models import Certification
from cronjobs import record_text
from cronjobs.models.jobs import CronJob
from mentors.clock import latest_believed
from mentors.models import Mentor, Organisation
from mentors.record_text import RecordTextField


class Action(models.TextChoices):
    """What a run does to a mentor, in the order in which it is done."""

    PAUSE = "pause", _("pause")
    RESUME = "resume", _("resume")
    REMIND = "remind", _("remind")


# Slots that one sweep finds missed are written down at the same moment.
OLDEST_FIRST = ("created_at", "scheduled_for", "id")
NEWEST_FIRST = ("-created_at", "-scheduled_for", "-id")

SLOTS = uuid.UUID("8f6f0a0e-52c9-4d0b-9c1e-6a1f3f0c7b11")  # the namespace of the runs of slots


def missed_by_a_wrong_clock(*, now: datetime) -> models.Q:
    """Return what says of a run that a clock that was ahead wrote its slot down as missed, before it came."""
    return models.Q(status="missed", created_at__gt=latest_believed(now=now))


class RunQuerySet(models.QuerySet["Run"]):
    def open(self) -> RunQuerySet:
        """Those that are not closed, a held one included."""
        return self.filter(status__in=Run.OPEN)

    def real(self) -> RunQuerySet:
        """Those that were not only shown."""
        return self.filter(dry_run=False)

    def not_concluded(self) -> RunQuerySet:
        """Those that are closed, while what follows (`cronjobs/after_close.py`) is still to be done."""
        return self.real().filter(concluded_at=None, finished_at__isnull=False)

    def newest_first(self) -> RunQuerySet:
        return self.order_by(*NEWEST_FIRST)

    def newest_of_each_job(self) -> RunQuerySet:
        return self.filter(cron_job__isnull=False).order_by("cron_job_id", *NEWEST_FIRST).distinct("cron_job_id")

    def with_pending_count(self) -> RunQuerySet:
        """Count the pending items of each in the same query, for the `progress` of many."""
        pending = RunItem.objects.pending().filter(run=OuterRef("pk")).order_by().values("run")
        count = pending.annotate(count=models.Count("pk")).values("count")
        return self.annotate(pending_count=Coalesce(Subquery(count), 0))


class Run(models.Model):
    """One run for one organisation and one business date, kept for audit."""

    class Status(models.TextChoices):
        PLANNED = "planned", _("claimed, not yet at work")
        RUNNING = "running", _("at work")
        HELD = "held", _("waits for a person")
        SUCCEEDED = "succeeded", _("all done")
        PARTIAL = "partial", _("done in part")
        FAILED = "failed", _("failed")
        MISSED = "missed", _("never ran")

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", _("on schedule")
        CATCH_UP = "catch_up", _("made up later")
        MANUAL = "manual", _("by a person")

    OPEN = (Status.PLANNED, Status.RUNNING, Status.HELD)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.PROTECT, related_name="runs"
    )
    cron_job = models.ForeignKey(
        CronJob, verbose_name=_("schedule"), on_delete=models.SET_NULL, null=True, related_name="runs", db_index=False
    )
    business_date = models.DateField(_("business date"))
    scheduled_for = models.DateTimeField(_("scheduled for"), null=True)
    trigger = models.CharField(_("started"), max_length=8, choices=Trigger)
    actions = ArrayField(models.CharField(max_length=6, choices=Action), verbose_name=_("actions"))
    dry_run = models.BooleanField(_("dry run"), default=False)
    approved = models.BooleanField(
        _("approved"), default=False, help_text=_("A person has looked: the brake does not hold it.")
    )
    approved_by = models.CharField(
        _("approved by"),
        max_length=150,
        blank=True,
        default="",
        db_default="",
        help_text=_("Who let a held run go on."),
    )
    requested_by = models.CharField(_("requested by"), max_length=150, blank=True)
    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.PLANNED)
    counts = models.JSONField(_("counts"), default=dict)
    already_handled = models.PositiveIntegerField(_("already handled"), default=0)
    repaired = models.PositiveIntegerField(
        _("repaired"),
        default=0,
        db_default=0,
        help_text=_("For how many mentors the day on which they lapse was stored wrongly, and mended before the plan."),
    )
    resent_at = models.DateTimeField(
        _("resent at"), null=True, help_text=_("When the sweep last sent its items out again.")
    )
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    error = RecordTextField(_("error"))
    cause = RecordTextField(
        _("cause"),
        help_text=_("Why it was missed, had to be made up, or was held up."),
    )
    deviation = RecordTextField(
        _("deviation"),
        help_text=_("How it differs from what was expected of the night."),
    )
    concluded_at = models.DateTimeField(
        _("concluded at"), null=True, help_text=_("When what follows a closed run had been done.")
    )
    code_version = models.CharField(_("code version"), max_length=100)

    objects = RunQuerySet.as_manager()

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ("-created_at",)
        constraints = [
            # Two beats, a reloaded schedule, a second press: the claim in nightly.py relies on both.
            models.UniqueConstraint(fields=["cron_job", "scheduled_for"], name="run_slot_is_claimed_once"),
            models.UniqueConstraint(
                fields=["organisation"],
                condition=models.Q(status__in=["planned", "running", "held"]),
                name="run_is_alone_in_its_organisation",
            ),
        ]
        indexes = [
            # The lists of the API: an organisation's, a job's, everybody's, and those of some days.
            models.Index(fields=["organisation", "-created_at"], name="run_newest_first"),
            models.Index(fields=["cron_job", "-created_at"], name="run_of_job_newest_first"),
            models.Index(fields=["-created_at"], name="run_newest_of_all"),
            models.Index(fields=["organisation", "business_date"], name="run_of_day"),
            # What the sweep has to conclude.
            models.Index(fields=["finished_at"], condition=models.Q(concluded_at=None), name="run_not_concluded"),
        ]

    def __str__(self) -> str:
        return f"{self.organisation_id} {self.business_date}: {self.status}"

    @staticmethod
    def id_of_slot(cron_job_id: int, slot: datetime) -> uuid.UUID:
        """Return the id that the run of a slot has, whoever claims it: beat, which only sends it, can name it too."""
        return uuid.uuid5(SLOTS, f"{cron_job_id}:{int(slot.timestamp())}")

    @classmethod
    def new_ids(cls, cron_job_id: int, slots: Iterable[datetime]) -> dict[datetime, uuid.UUID]:
        """Return the ids for new runs of the slots: their own, unless a run that gave its slot back has it."""
        own = {slot: cls.id_of_slot(cron_job_id, slot) for slot in slots}
        used = set(cls.objects.filter(pk__in=own.values(), cron_job=None).values_list("pk", flat=True))
        return {slot: uuid.uuid4() if id in used else id for slot, id in own.items()}

    @property
    def is_open(self) -> bool:
        return self.status in Run.OPEN

    @property
    def failed(self) -> int:
        """How many items failed, as counted when the run was closed."""
        return sum(count["failed"] for count in self.counts.values())

    @property
    def was_switched_off(self) -> bool:
        """Whether the slot was missed because somebody wanted it so."""
        return self.status == Run.Status.MISSED and record_text.SWITCHED_OFF in self.error

    @property
    def progress(self) -> float:
        """The share of the run's items that are no longer pending, from 0 to 1."""
        if not self.is_open:
            return 1.0
        planned = sum(count["planned"] for count in self.counts.values())
        counted: int | None = getattr(self, "pending_count", None)  # by `with_pending_count`
        pending = self.items.pending().count() if counted is None else counted
        return 1 - pending / planned if planned else 0.0


class RunItemQuerySet(models.QuerySet["RunItem"]):
    def pending(self) -> RunItemQuerySet:
        return self.filter(status=RunItem.Status.PENDING)

    def due(self, *, now: datetime) -> RunItemQuerySet:
        """Those to be worked on now. Only a retry waits for its time; a worker whose clock is behind waits for none."""
        return self.pending().filter(models.Q(attempts=0) | models.Q(at__lte=now))


class RunItem(models.Model):
    """The ledger: one row for each thing a run has to do to one mentor.

    What it is about is copied into the row (`type`, `number`, `expires_on`), because the evidence must still be
    readable when the certification has changed or gone.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        DONE = "done", _("done")
        SKIPPED = "skipped", _("skipped")
        FAILED = "failed", _("failed")

    run = models.ForeignKey(Run, verbose_name=_("run"), on_delete=models.PROTECT, related_name="items", db_index=False)
    action = models.CharField(_("action"), max_length=6, choices=Action)
    dedupe_key = models.CharField(_("key"), max_length=80)
    mentor = models.ForeignKey(Mentor, verbose_name=_("mentor"), on_delete=models.PROTECT, related_name="run_items")
    # May name one that has been removed: the evidence stays, and removing it has no lock of the ledger to wait for.
    certification = models.ForeignKey(
        Certification,
        verbose_name=_("certification"),
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="run_items",
        db_constraint=False,
        db_index=False,
    )
    type = models.TextField(_("type"), blank=True)
    number = models.CharField(_("number"), max_length=50, blank=True)
    expires_on = models.DateField(_("expires on"), null=True)
    stage = models.PositiveSmallIntegerField(_("days before"), null=True)
    status = models.CharField(_("status"), max_length=7, choices=Status, default=Status.PENDING)
    outcome = RecordTextField(_("outcome"))
    error = RecordTextField(_("error"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    # When the row last changed; of a pending row, the time from which it may be worked on.
    at = models.DateTimeField(_("time"))

    objects = RunItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("item")
        verbose_name_plural = _("items")
        ordering = ("id",)
        constraints = [
            # "Twice in a night does nothing twice": a thing that is done, or about to be, holds its key for ever.
            # What was skipped or failed gives its key back, so that a later run may do it if it is due then.
            models.UniqueConstraint(
                fields=["dedupe_key"],
                condition=models.Q(status__in=["pending", "done"]),
                name="run_item_acts_once",
            )
        ]
        indexes = [
            # Claiming a batch, closing a run, finding what is stuck.
            models.Index(fields=["run", "mentor"], condition=models.Q(status="pending"), name="run_item_pending"),
            models.Index(fields=["run", "id"], name="run_item_of_run"),
            models.Index(
                fields=["certification"],
                condition=models.Q(certification__isnull=False),
                name="run_item_of_certification",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dedupe_key}: {self.status}"
