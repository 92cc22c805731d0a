"""A schedule as JSON, and the bodies that make, change and execute one."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from cronjobs.cron import MAX_LENGTH
from cronjobs.ledger import check_business_date
from cronjobs.models import LONGEST_PATIENCE_MINUTES, Run
from mentors.rest.openapi import examples
from mentors.rest.serializers import OrganisationInScope, StrictSerializer

EXAMPLE = {
    "id": 3,
    "organisation": "hlf",
    "name": "nightly",
    "cron_expression": "30 0 * * *",
    "schedule_text": "at 00:30",
    "timezone": "Europe/Oslo",
    "enabled": True,
    "pause_note": "",
    "paused_by": "",
    "paused_at": None,
    "alert_after_minutes": 60,
    "next_runs": [
        {"local": f"2026-11-{day}T00:30:00+01:00", "utc": f"2026-11-{day - 1}T23:30:00Z"} for day in range(23, 28)
    ],
    "last_run": {
        "id": "5b0c8f5e-6f0f-4f0e-9d55-0d4b6a3f7c11",
        "status": "succeeded",
        "scheduled_for": "2026-11-21T23:30:00Z",
        "business_date": "2026-11-22",
        "finished_at": "2026-11-21T23:30:04Z",
    },
    "warnings": [],
    "drift": [],
    "created_at": "2026-01-02T09:14:00Z",
    "updated_at": "2026-01-02T09:14:00Z",
}
EXPRESSION = "Five fields, names or an alias such as @daily; never both a day of the month and a day of the week."


class NextRunSerializer(serializers.Serializer[Any]):
    local = serializers.DateTimeField(help_text="In the job's time zone.")
    utc = serializers.DateTimeField()


class LastRunSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(Run.Status.choices)
    scheduled_for = serializers.DateTimeField(allow_null=True)
    business_date = serializers.DateField()
    finished_at = serializers.DateTimeField(allow_null=True)


@examples({"Every night": EXAMPLE})
class CronJobSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    organisation = serializers.CharField(source="organisation.slug", help_text="The organisation's slug.")
    name = serializers.CharField()
    cron_expression = serializers.CharField(help_text="As it is read: five fields of numbers, Sunday as 0.")
    schedule_text = serializers.CharField(help_text="The expression in words.")
    timezone = serializers.CharField(help_text="Whose clock the expression means: an IANA name.")
    enabled = serializers.BooleanField()
    pause_note = serializers.CharField(allow_blank=True, help_text="Why it is switched off.")
    paused_by = serializers.CharField(allow_blank=True, help_text="The username of who switched it off.")
    paused_at = serializers.DateTimeField(allow_null=True, help_text="When it was switched off; null: it is on.")
    alert_after_minutes = serializers.IntegerField(min_value=0, help_text="When a run that is still open is reported.")
    next_runs = NextRunSerializer(many=True, help_text="The next five; none while it is switched off.")
    last_run = LastRunSerializer(allow_null=True, help_text="The newest, a missed one included, dry runs left out.")
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="Times that a clock change of the coming two years skips or repeats."
    )
    drift = serializers.ListField(
        child=serializers.CharField(), help_text="How beat's own tables differ from it, after an edit there."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CronJobBody(StrictSerializer):
    """What may be written of a schedule."""

    name = serializers.CharField(max_length=200)
    cron_expression = serializers.CharField(max_length=MAX_LENGTH, help_text=EXPRESSION)
    timezone = serializers.CharField(max_length=64, required=False)
    enabled = serializers.BooleanField(required=False)
    pause_note = serializers.CharField(
        max_length=1000, allow_blank=True, required=False, help_text="Needed to switch it off; gone when it is on."
    )
    alert_after_minutes = serializers.IntegerField(min_value=0, max_value=LONGEST_PATIENCE_MINUTES, required=False)


@examples({"Every night": {"organisation": "hlf", "name": "nightly", "cron_expression": "30 0 * * *"}})
class CreateCronJobSerializer(CronJobBody):
    """A new schedule. Left out: the organisation's time zone, switched on, an alert after an hour."""

    organisation = OrganisationInScope(help_text="The organisation's slug.")


@examples(
    {
        "Another time": {"name": "nightly", "cron_expression": "15 2 * * *"},
        "Switched off": {
            "name": "nightly",
            "cron_expression": "30 0 * * *",
            "enabled": False,
            "pause_note": "Until the roster is mended.",
        },
    }
)
class ChangeCronJobSerializer(CronJobBody):
    """A changed schedule. What is left out stays as it is."""

    moving = frozenset(["next_runs", "last_run", "warnings", "drift"])


@examples({"Keep the schedule": {"keep": "schedule"}})
class ResolveDriftSerializer(StrictSerializer):
    """Which of the two counts."""

    keep = serializers.ChoiceField(["schedule", "beat"], help_text="The job's own schedule, or what beat's tables say.")


@examples({"For today": {}, "A look ahead": {"dry_run": True, "date": "2026-12-24"}})
class ExecuteSerializer(StrictSerializer):
    """For today, or as a dry run for any day."""

    dry_run = serializers.BooleanField(default=False)
    date = serializers.DateField(
        required=False, validators=[check_business_date], help_text="Another day than today only for a dry run."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        today = self.context["today"]  # in the organisation
        if not attrs["dry_run"] and attrs.get("date") not in (None, today):
            message = _("Only a dry run may be for another day than today, %(today)s.") % {"today": today}
            raise serializers.ValidationError({"date": serializers.ErrorDetail(message, code="not_today")})
        return attrs
