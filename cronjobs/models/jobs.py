"""Scheduled jobs, which beat fires."""

from __future__ import annotations

from datetime import datetime

import pgtrigger
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from cronjobs.cron import normalise_cron
from mentors.models import Organisation, validate_timezone
from mentors.validators import validate_one_line

LONGEST_PATIENCE_MINUTES = 7 * 24 * 60
# However a job goes, its organisation's removal included: an entry that is left would fire for ever. Beat notices.
REMOVE_ENTRY = """
    DELETE FROM django_celery_beat_periodictask WHERE id = OLD.periodic_task_id;
    INSERT INTO django_celery_beat_periodictasks (ident, last_update) VALUES (1, clock_timestamp())
    ON CONFLICT (ident) DO UPDATE SET last_update = excluded.last_update;
    RETURN NULL;
"""


class CronJob(models.Model):
    """A nightly job of an organisation; beat fires its `PeriodicTask`, kept in step by `cronjobs/starting.py`."""

    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.CASCADE, related_name="cron_jobs"
    )
    name = models.CharField(_("name"), max_length=200, validators=[validate_one_line])
    cron_expression = models.CharField(_("cron expression"), max_length=100, default="30 0 * * *")
    timezone = models.CharField(_("timezone"), max_length=64, validators=[validate_timezone])
    enabled = models.BooleanField(_("switched on"), default=True)
    pause_note = models.TextField(_("why it is switched off"), blank=True, help_text=_("Why it is switched off."))
    paused_by = models.CharField(
        _("switched off by"), max_length=150, blank=True, default="", db_default="", editable=False
    )
    paused_at = models.DateTimeField(_("switched off at"), null=True, editable=False)
    alert_after_minutes = models.PositiveIntegerField(
        _("alarm after minutes"), default=60, validators=[MaxValueValidator(LONGEST_PATIENCE_MINUTES)]
    )
    slots_from = models.DateTimeField(
        _("slots from"),
        editable=False,
        help_text=_("Slots before the schedule was made, changed or switched on are not missed."),
    )
    periodic_task = models.OneToOneField(
        PeriodicTask,
        verbose_name=_("beat's entry"),
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="cron_job",
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ("organisation", "name")
        triggers = [
            pgtrigger.Trigger(
                name="takes_its_entry_along", when=pgtrigger.After, operation=pgtrigger.Delete, func=REMOVE_ENTRY
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="cron_job_name_is_unique"),
            # The watch reckons with it: a number out of range would stop it for every job.
            models.CheckConstraint(
                condition=models.Q(alert_after_minutes__lte=LONGEST_PATIENCE_MINUTES),
                name="cron_job_patience_is_bounded",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def was_off_at(self, slot: datetime) -> bool:
        """Whether nobody was to run the slot: a job that was switched off later owed it still."""
        return not self.enabled and (self.paused_at is None or self.paused_at <= slot)

    def clean(self) -> None:
        """Write the expression as beat reads it, and let a note stand exactly as long as the job is switched off."""
        self.pause_note = "" if self.enabled else self.pause_note.strip()
        if not self.enabled and not self.pause_note:
            raise ValidationError({"pause_note": _("Say why the job is switched off.")})
        try:
            self.cron_expression = normalise_cron(self.cron_expression)
        except ValidationError as error:
            raise ValidationError({"cron_expression": error}) from error
