"""How runs and their items are written as JSON: by the commands now, by the API's views too."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from cronjobs.models import Run, RunItem


class RunSerializer(serializers.ModelSerializer[Run]):
    organisation = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    duration_seconds = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = (
            "id",
            "organisation",
            "cron_job",
            "business_date",
            "scheduled_for",
            "trigger",
            "actions",
            "dry_run",
            "requested_by",
            "status",
            "counts",
            "already_handled",
            "progress",
            "started_at",
            "finished_at",
            "duration_seconds",
            "error",
            "code_version",
        )

    def get_duration_seconds(self, run: Run) -> float | None:
        if run.started_at is None or run.finished_at is None:
            return None
        return (run.finished_at - run.started_at).total_seconds()


class RunItemSerializer(serializers.ModelSerializer[RunItem]):
    mentor_ref = serializers.CharField(source="mentor.ref")
    mentor_name = serializers.CharField(source="mentor.name")

    class Meta:
        model = RunItem
        fields = (
            "action",
            "mentor_ref",
            "mentor_name",
            "type",
            "number",
            "expires_on",
            "stage",
            "status",
            "outcome",
            "error",
            "attempts",
            "at",
        )
