"""Runs and the rows of the ledger as JSON: what the API and the command `nightly` say of them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from cronjobs.ledger_rows import PLANNED
from cronjobs.models import Action, Run, RunItem
from cronjobs.records.digests import END_ROW, RUN_ROW
from mentors.rest.openapi import examples

ITEM_STATUSES = [(PLANNED, "would be done: a dry run"), *RunItem.Status.choices]


class CountSerializer(serializers.Serializer[Any]):
    """Once the run is closed, planned = done + skipped + failed."""

    planned = serializers.IntegerField(min_value=0)
    done = serializers.IntegerField(min_value=0)
    skipped = serializers.IntegerField(min_value=0)
    failed = serializers.IntegerField(min_value=0)


class CountsSerializer(serializers.Serializer[Any]):
    """Of each action that the run has; empty until it is planned."""

    pause = CountSerializer(required=False)
    resume = CountSerializer(required=False)
    remind = CountSerializer(required=False)


@examples(
    {
        "One night": {
            "id": "5b0c8f5e-6f0f-4f0e-9d55-0d4b6a3f7c11",
            "organisation": "hlf",
            "cron_job": 3,
            "business_date": "2026-11-22",
            "scheduled_for": "2026-11-21T23:30:00Z",
            "trigger": "schedule",
            "actions": ["pause", "resume", "remind"],
            "dry_run": False,
            "requested_by": "",
            "approved_by": "",
            "status": "succeeded",
            "counts": {
                "pause": {"planned": 2, "done": 2, "skipped": 0, "failed": 0},
                "resume": {"planned": 1, "done": 0, "skipped": 1, "failed": 0},
                "remind": {"planned": 14, "done": 14, "skipped": 0, "failed": 0},
            },
            "already_handled": 3,
            "progress": 1.0,
            "started_at": "2026-11-21T23:30:01Z",
            "finished_at": "2026-11-21T23:30:04Z",
            "duration_seconds": 3.0,
            "error": "",
            "cause": "",
            "deviation": "",
            "code_version": "1.4.0",
            "created_at": "2026-11-21T23:30:01Z",
        }
    }
)
class RunSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    organisation = serializers.CharField(source="organisation.slug", help_text="The organisation's slug.")
    cron_job = serializers.IntegerField(
        source="cron_job_id", allow_null=True, help_text="Null: none, or one that was removed."
    )
    business_date = serializers.DateField(help_text="The organisation's day by which it decides.")
    scheduled_for = serializers.DateTimeField(allow_null=True, help_text="Its slot; null: it was started by hand.")
    trigger = serializers.ChoiceField(Run.Trigger.choices)
    actions = serializers.ListField(child=serializers.ChoiceField(Action.choices))
    dry_run = serializers.BooleanField()
    requested_by = serializers.CharField(allow_blank=True, help_text="The username; empty: the schedule.")
    approved_by = serializers.CharField(allow_blank=True, help_text="Who let it go on after it was held: a username.")
    status = serializers.ChoiceField(Run.Status.choices)
    counts = CountsSerializer()
    already_handled = serializers.IntegerField(
        min_value=0, help_text="What was due and had been done, or taken on, by a run before."
    )
    progress = serializers.FloatField(
        min_value=0, max_value=1, help_text="The share of its items that are no longer pending."
    )
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.SerializerMethodField()
    error = serializers.CharField(allow_blank=True, help_text="Why it is not green; empty: it is.")
    cause = serializers.CharField(allow_blank=True, help_text="Why it was missed or made up later; empty: it was not.")
    deviation = serializers.CharField(
        allow_blank=True, help_text="How it differs from what was expected of the night; empty: it does not."
    )
    code_version = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_duration_seconds(self, run: Run) -> float | None:
        if run.started_at is None or run.finished_at is None:
            return None
        return (run.finished_at - run.started_at).total_seconds()


@examples(
    {
        "A reminder": {
            "action": "remind",
            "mentor_ref": "M-0012",
            "mentor_name": "Liv Moe",
            "type": "likepersonkurs",
            "number": "A1017",
            "expires_on": "2026-11-29",
            "stage": 7,
            "status": "done",
            "outcome": "reminded",
            "error": "",
            "attempts": 1,
            "at": "2026-11-21T23:30:02Z",
        }
    }
)
class RunItemSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(Action.choices)
    mentor_ref = serializers.CharField(help_text="The organisation's own key for the mentor.")
    mentor_name = serializers.CharField()
    type = serializers.CharField(
        allow_blank=True, help_text="Of a reminder the type's code; of a pause those that have lapsed, with commas."
    )
    number = serializers.CharField(allow_blank=True)
    expires_on = serializers.DateField(allow_null=True)
    stage = serializers.IntegerField(allow_null=True, help_text="In days before the expiry.")
    status = serializers.ChoiceField(ITEM_STATUSES)
    outcome = serializers.CharField(allow_blank=True, help_text="What came of it, or why nothing did.")
    error = serializers.CharField(allow_blank=True, help_text="Of the last attempt.")
    attempts = serializers.IntegerField(min_value=0, help_text="That failed.")
    at = serializers.DateTimeField(allow_null=True, help_text="When it last changed; null: a dry run.")


class ExportedItemSerializer(RunItemSerializer):
    """An item, with what its run's seal was made of besides; a dry run has none of that."""

    run = serializers.UUIDField()
    business_date = serializers.DateField()
    id = serializers.IntegerField(required=False)
    dedupe_key = serializers.CharField(required=False, help_text="What is done only once.")
    mentor_id = serializers.IntegerField(required=False)
    row = serializers.IntegerField(min_value=1, help_text="Its number in the file.")
    hash = serializers.CharField(help_text="SHA-256 of the hash of the row before it and this row.")


class FiledSealSerializer(serializers.Serializer[Any]):
    """A link of the organisation's chain, as text."""

    number = serializers.CharField()
    run_id = serializers.UUIDField()
    items = serializers.CharField()
    record_digest = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()
    previous = serializers.CharField(allow_blank=True, help_text="The digest of the seal before it; empty: the first.")
    digest = serializers.CharField()


class FiledRecordSerializer(serializers.Serializer[Any]):
    rows = serializers.IntegerField(min_value=0, help_text="How many items stand above.")
    is_part = serializers.BooleanField(help_text="Whether the run may have items that the user does not see.")
    facts = serializers.DictField(help_text="What is sealed of the run itself.")
    seal = FiledSealSerializer(allow_null=True, help_text="Null: the run is open, dry, or older than the seals.")


class ExportedRunSerializer(serializers.Serializer[Any]):
    """The run whose items stand above."""

    run = serializers.UUIDField()
    business_date = serializers.DateField()
    action = serializers.ChoiceField([RUN_ROW])
    status = serializers.ChoiceField(Run.Status.choices)
    record = FiledRecordSerializer()
    row = serializers.IntegerField(min_value=1)
    hash = serializers.CharField()


class FileEndSerializer(serializers.Serializer[Any]):
    runs = serializers.IntegerField(min_value=0)
    items = serializers.IntegerField(min_value=0)


class ExportedEndSerializer(serializers.Serializer[Any]):
    """The end of the file: without it the file was cut off."""

    action = serializers.ChoiceField([END_ROW])
    record = FileEndSerializer()
    row = serializers.IntegerField(min_value=1)
    hash = serializers.CharField(help_text="The head of the file's chain.")


EXPORTED_ROW = PolymorphicProxySerializer(
    component_name="ExportedRow",
    serializers=[ExportedItemSerializer, ExportedRunSerializer, ExportedEndSerializer],
    resource_type_field_name=None,
    many=True,
)


@examples({"Three mentors": {"resumed": 3}})
class UndoneSerializer(serializers.Serializer[Any]):
    resumed = serializers.IntegerField(min_value=0, help_text="How many mentors are active again.")
