"""What remains of runs: what was expected of a night, the seals of closed runs, the summaries of pruned ones."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from mentors.models import Organisation


class Forecast(models.Model):
    """What a coming night is expected to do, as the close of the run before it saw it."""

    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.CASCADE, related_name="forecasts"
    )
    business_date = models.DateField(_("business date"))
    expected = models.JSONField(_("expected"), help_text=_("How many items by action."))
    written_at = models.DateTimeField(_("written at"))

    class Meta:
        verbose_name = _("forecast")
        verbose_name_plural = _("forecasts")
        constraints = [
            # A later close on the same day knows better, and writes over it.
            models.UniqueConstraint(fields=["organisation", "business_date"], name="forecast_is_one_a_night")
        ]

    def __str__(self) -> str:
        return f"{self.organisation_id} {self.business_date}: {self.expected}"


class Seal(models.Model):
    """A link of an organisation's hash chain: what a run's record was when it was closed.

    A run that is retried is sealed again; its newest seal counts. Seals outlive the runs that are pruned.
    """

    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.PROTECT, related_name="seals"
    )
    number = models.PositiveIntegerField(_("place in the chain"), help_text=_("1, 2, 3 … in each organisation."))
    run_id = models.UUIDField(_("run"), db_index=True)
    items = models.PositiveIntegerField(_("items"), help_text=_("How many items the record has."))
    record_digest = models.CharField(
        _("record digest"), max_length=64, help_text=_("SHA-256 of the run and its items, as hexadecimal.")
    )
    digest = models.CharField(_("digest"), max_length=64, help_text=_("SHA-256 of the seal before it and this one."))
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        ordering = ("organisation", "number")
        constraints = [models.UniqueConstraint(fields=["organisation", "number"], name="seal_has_one_place")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.organisation_id} {self.number}: {self.digest[:12]}"


class RunSummary(models.Model):
    """What is left of a month's runs after they were pruned."""

    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.PROTECT, related_name="run_summaries"
    )
    month = models.DateField(_("month"), help_text=_("Its first day."))
    runs = models.JSONField(_("runs"), help_text=_("How many runs by status."))
    counts = models.JSONField(_("counts"), help_text=_("How many items by action and status."))

    class Meta:
        verbose_name = _("sum of pruned runs")
        verbose_name_plural = _("sums of pruned runs")
        ordering = ("organisation", "month")
        constraints = [models.UniqueConstraint(fields=["organisation", "month"], name="run_summary_is_one_a_month")]

    def __str__(self) -> str:
        return f"{self.organisation_id} {self.month:%Y-%m}"
