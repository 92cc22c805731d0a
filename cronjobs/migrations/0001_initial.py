"""When: schedules, their runs and the ledger; what the watch knows; what remains as a record."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models import CASCADE, PROTECT, SET_NULL, CheckConstraint, F, ForeignKey, Index, Q, UniqueConstraint
from pgtrigger.compiler import Trigger, UpsertTriggerSql
from pgtrigger.migrations import AddTrigger

from mentors.models import validate_timezone

ID = models.BigAutoField("ID", auto_created=True, primary_key=True, serialize=False)
ORGANISATION, MENTOR = "mentors.organisation", "mentors.mentor"
TRIGGERS = [("schedule", "on schedule"), ("catch_up", "made up later"), ("manual", "by a person")]
ACTIONS = [("pause", "pause"), ("resume", "resume"), ("remind", "remind")]
RUN_STATUSES = [
    ("planned", "claimed, not yet at work"),
    ("running", "at work"),
    ("held", "waits for a person"),
    ("succeeded", "all done"),
    ("partial", "done in part"),
    ("failed", "failed"),
    ("missed", "never ran"),
]
ITEM_STATUSES = [("pending", "pending"), ("done", "done"), ("skipped", "skipped"), ("failed", "failed")]
PARTS = [("beat", "beat"), ("broker", "the broker"), ("workers", "the workers"), ("watchdog", "the watchdog")]
INCIDENTS = [
    ("night", "a night is not in order"),
    ("part", "a part of the service is silent"),
    ("delivery", "messages do not leave"),
    ("deviation", "a night differs from what was expected"),
    ("drift", "beat has another schedule than the job"),
    ("records", "records do not agree with their seals"),
    ("web", "the web server does not answer"),
    ("test", "a test of the alarm"),
]
ALERTS = [("raised", "raised"), ("still", "still amiss"), ("cleared", "all clear")]

CRON_JOB = migrations.CreateModel(
    name="CronJob",
    fields={
        "id": ID,
        "name": models.CharField("name", max_length=200),
        "cron_expression": models.CharField("cron expression", max_length=100, default="30 0 * * *"),
        "timezone": models.CharField("timezone", max_length=64, validators=[validate_timezone]),
        "enabled": models.BooleanField("switched on", default=True),
        "pause_note": models.TextField("why it is switched off", blank=True, help_text="Why it is switched off."),
        "alert_after_minutes": models.PositiveIntegerField("alarm after minutes", default=60),
        "slots_from": models.DateTimeField(
            "slots from",
            editable=False,
            help_text="Slots before the schedule was made, changed or switched on are not missed.",
        ),
        "created_at": models.DateTimeField("created at", auto_now_add=True),
        "updated_at": models.DateTimeField("updated at", auto_now=True),
        "organisation": ForeignKey(ORGANISATION, CASCADE, verbose_name="organisation", related_name="cron_jobs"),
        "periodic_task": models.OneToOneField(
            "django_celery_beat.periodictask",
            SET_NULL,
            verbose_name="beat's entry",
            null=True,
            editable=False,
            related_name="cron_job",
        ),
        "paused_at": models.DateTimeField("switched off at", null=True, editable=False),
        "paused_by": models.CharField(
            "switched off by", max_length=150, blank=True, default="", db_default="", editable=False
        ),
    }.items(),
    options={
        "verbose_name": "schedule",
        "verbose_name_plural": "schedules",
        "ordering": ("organisation", "name"),
        "constraints": [UniqueConstraint(fields=["organisation", "name"], name="cron_job_name_is_unique")],
    },
)

RUN = migrations.CreateModel(
    name="Run",
    fields={
        "id": models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False, serialize=False),
        "business_date": models.DateField("business date"),
        "scheduled_for": models.DateTimeField("scheduled for", null=True),
        "trigger": models.CharField("started", max_length=8, choices=TRIGGERS),
        "actions": ArrayField(models.CharField(max_length=6, choices=ACTIONS), verbose_name="actions"),
        "dry_run": models.BooleanField("dry run", default=False),
        "approved": models.BooleanField(
            "approved", default=False, help_text="A person has looked: the brake does not hold it."
        ),
        "requested_by": models.CharField("requested by", max_length=150, blank=True),
        "status": models.CharField("status", max_length=9, choices=RUN_STATUSES, default="planned"),
        "counts": models.JSONField("counts", default=dict),
        "already_handled": models.PositiveIntegerField("already handled", default=0),
        "resent_at": models.DateTimeField(
            "resent at", null=True, help_text="When the sweep last sent its items out again."
        ),
        "created_at": models.DateTimeField("created at"),
        "started_at": models.DateTimeField("started at", null=True),
        "finished_at": models.DateTimeField("finished at", null=True),
        "error": models.TextField("error", blank=True),
        "code_version": models.CharField("code version", max_length=100),
        "cron_job": ForeignKey(
            "cronjobs.cronjob", SET_NULL, verbose_name="schedule", null=True, related_name="runs", db_index=False
        ),
        "organisation": ForeignKey(ORGANISATION, PROTECT, verbose_name="organisation", related_name="runs"),
        "approved_by": models.CharField(
            "approved by", max_length=150, blank=True, default="", db_default="", help_text="Who let a held run go on."
        ),
        "cause": models.TextField(
            "cause",
            blank=True,
            default="",
            db_default="",
            help_text="Why it was missed, had to be made up, or was held up.",
        ),
        "concluded_at": models.DateTimeField(
            "concluded at", null=True, help_text="When what follows a closed run had been done."
        ),
        "deviation": models.TextField(
            "deviation",
            blank=True,
            default="",
            db_default="",
            help_text="How it differs from what was expected of the night.",
        ),
    }.items(),
    options={
        "verbose_name": "run",
        "verbose_name_plural": "runs",
        "ordering": ("-created_at",),
        "constraints": [
            UniqueConstraint(fields=["cron_job", "scheduled_for"], name="run_slot_is_claimed_once"),
            UniqueConstraint(
                fields=["organisation"],
                condition=Q(status__in=["planned", "running", "held"]),
                name="run_is_alone_in_its_organisation",
            ),
        ],
        "indexes": [
            Index(fields=["organisation", "-created_at"], name="run_newest_first"),
            Index(fields=["cron_job", "-created_at"], name="run_of_job_newest_first"),
            Index(fields=["-created_at"], name="run_newest_of_all"),
            Index(fields=["organisation", "business_date"], name="run_of_day"),
            Index(fields=["finished_at"], condition=Q(concluded_at=None), name="run_not_concluded"),
        ],
    },
)

RUN_ITEM = migrations.CreateModel(
    name="RunItem",
    fields={
        "id": ID,
        "action": models.CharField("action", max_length=6, choices=ACTIONS),
        "dedupe_key": models.CharField("key", max_length=80),
        "type": models.TextField("type", blank=True),
        "number": models.CharField("number", max_length=50, blank=True),
        "expires_on": models.DateField("expires on", null=True),
        "stage": models.PositiveSmallIntegerField("days before", null=True),
        "status": models.CharField("status", max_length=7, choices=ITEM_STATUSES, default="pending"),
        "outcome": models.TextField("outcome", blank=True),
        "error": models.TextField("error", blank=True),
        "attempts": models.PositiveSmallIntegerField("attempts", default=0),
        "at": models.DateTimeField("time"),
        "certification": ForeignKey(
            "certifications.certification",
            SET_NULL,
            verbose_name="certification",
            null=True,
            related_name="run_items",
            db_index=False,
        ),
        "mentor": ForeignKey(MENTOR, PROTECT, verbose_name="mentor", related_name="run_items"),
        "run": ForeignKey("cronjobs.run", PROTECT, verbose_name="run", related_name="items", db_index=False),
    }.items(),
    options={
        "verbose_name": "item",
        "verbose_name_plural": "items",
        "ordering": ("id",),
        "constraints": [
            UniqueConstraint(
                fields=["dedupe_key"], condition=Q(status__in=["pending", "done"]), name="run_item_acts_once"
            )
        ],
        "indexes": [
            Index(fields=["run", "mentor"], condition=Q(status="pending"), name="run_item_pending"),
            Index(fields=["run", "id"], name="run_item_of_run"),
            Index(fields=["certification"], condition=Q(certification__isnull=False), name="run_item_of_certification"),
        ],
    },
)

HEARTBEAT = migrations.CreateModel(
    name="Heartbeat",
    fields={
        "part": models.CharField("part", max_length=8, choices=PARTS, primary_key=True, serialize=False),
        "at": models.DateTimeField("time"),
    }.items(),
    options={"verbose_name": "heartbeat", "verbose_name_plural": "heartbeats"},
)

SILENCE = migrations.CreateModel(
    name="Silence",
    fields={
        "id": ID,
        "part": models.CharField("part", max_length=8, choices=PARTS),
        "from_at": models.DateTimeField("from"),
        "until_at": models.DateTimeField("until"),
    }.items(),
    options={
        "verbose_name": "silence",
        "verbose_name_plural": "silences",
        "constraints": [
            UniqueConstraint(fields=["part", "from_at"], name="silence_is_written_once"),
            CheckConstraint(condition=Q(until_at__gt=F("from_at")), name="silence_ends_after_it_begins"),
        ],
        "indexes": [Index(fields=["until_at"], name="silence_until")],
    },
)

INCIDENT = migrations.CreateModel(
    name="Incident",
    fields={
        "id": ID,
        "kind": models.CharField("kind", max_length=9, choices=INCIDENTS),
        "key": models.CharField(
            "key", max_length=200, help_text="What is amiss; it is one incident as long as it lasts."
        ),
        "summary": models.TextField("summary", help_text="One sentence, in the language of operations."),
        "began_at": models.DateTimeField("began at", help_text="Since when it has been amiss, as far as is known."),
        "seen_at": models.DateTimeField("seen at", help_text="When it was first seen."),
        "told_at": models.DateTimeField(
            "told at", null=True, help_text="When operations were last told that it is amiss."
        ),
        "ended_at": models.DateTimeField("ended at", null=True),
        "cleared_at": models.DateTimeField(
            "cleared at", null=True, help_text="When operations were told that it is over."
        ),
        "cron_job": ForeignKey(
            "cronjobs.cronjob", SET_NULL, verbose_name="schedule", null=True, related_name="incidents"
        ),
        "organisation": ForeignKey(
            ORGANISATION, CASCADE, verbose_name="organisation", null=True, related_name="incidents"
        ),
    }.items(),
    options={
        "verbose_name": "incident",
        "verbose_name_plural": "incidents",
        "ordering": ("-seen_at", "-id"),
        "constraints": [
            UniqueConstraint(fields=["key"], condition=Q(ended_at__isnull=True), name="incident_is_open_once")
        ],
        "indexes": [
            Index(fields=["-seen_at", "-id"], name="incident_newest_first"),
            Index(
                fields=["ended_at"],
                condition=Q(ended_at__isnull=False, cleared_at__isnull=True),
                name="incident_to_clear",
            ),
        ],
    },
)

ALERT = migrations.CreateModel(
    name="Alert",
    fields={
        "id": ID,
        "event": models.CharField("event", max_length=7, choices=ALERTS),
        "route": models.CharField("route", max_length=100, help_text="By which way, without its address or password."),
        "at": models.DateTimeField("time"),
        "error": models.TextField("error", blank=True, help_text="Why it did not get through; empty: it did."),
        "incident": ForeignKey("cronjobs.incident", CASCADE, verbose_name="incident", related_name="alerts"),
    }.items(),
    options={
        "verbose_name": "alert",
        "verbose_name_plural": "alerts",
        "ordering": ("-at", "-id"),
        "indexes": [Index(fields=["route", "-at"], condition=Q(error=""), name="alert_last_proof")],
    },
)

FORECAST = migrations.CreateModel(
    name="Forecast",
    fields={
        "id": ID,
        "business_date": models.DateField("business date"),
        "expected": models.JSONField("expected", help_text="How many items by action."),
        "written_at": models.DateTimeField("written at"),
        "organisation": ForeignKey(ORGANISATION, CASCADE, verbose_name="organisation", related_name="forecasts"),
    }.items(),
    options={
        "verbose_name": "forecast",
        "verbose_name_plural": "forecasts",
        "constraints": [UniqueConstraint(fields=["organisation", "business_date"], name="forecast_is_one_a_night")],
    },
)

SEAL = migrations.CreateModel(
    name="Seal",
    fields={
        "id": ID,
        "number": models.PositiveIntegerField("place in the chain", help_text="1, 2, 3 … in each organisation."),
        "run_id": models.UUIDField("run", db_index=True),
        "items": models.PositiveIntegerField("items", help_text="How many items the record has."),
        "record_digest": models.CharField(
            "record digest", max_length=64, help_text="SHA-256 of the run and its items, as hexadecimal."
        ),
        "digest": models.CharField("digest", max_length=64, help_text="SHA-256 of the seal before it and this one."),
        "at": models.DateTimeField("time"),
        "organisation": ForeignKey(ORGANISATION, PROTECT, verbose_name="organisation", related_name="seals"),
    }.items(),
    options={
        "verbose_name": "seal",
        "verbose_name_plural": "seals",
        "ordering": ("organisation", "number"),
        "constraints": [UniqueConstraint(fields=["organisation", "number"], name="seal_has_one_place")],
    },
)
SEAL_IS_APPEND_ONLY = AddTrigger(
    model_name="seal",
    trigger=Trigger(
        name="append_only",
        sql=UpsertTriggerSql(
            pgid="pgtrigger_append_only_c5e43",
            table="cronjobs_seal",
            when="BEFORE",
            operation="UPDATE OR DELETE",
            func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
            hash="054a32d1e2669fd969e3284dd7cd0c0ab5159a94",
        ),
    ),
)

RUN_SUMMARY = migrations.CreateModel(
    name="RunSummary",
    fields={
        "id": ID,
        "month": models.DateField("month", help_text="Its first day."),
        "runs": models.JSONField("runs", help_text="How many runs by status."),
        "counts": models.JSONField("counts", help_text="How many items by action and status."),
        "organisation": ForeignKey(ORGANISATION, PROTECT, verbose_name="organisation", related_name="run_summaries"),
    }.items(),
    options={
        "verbose_name": "sum of pruned runs",
        "verbose_name_plural": "sums of pruned runs",
        "ordering": ("organisation", "month"),
        "constraints": [UniqueConstraint(fields=["organisation", "month"], name="run_summary_is_one_a_month")],
    },
)


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("certifications", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("mentors", "0001_initial"),
    ]
    operations = [
        CRON_JOB, RUN, RUN_ITEM,
        HEARTBEAT, SILENCE, INCIDENT, ALERT,
        FORECAST, SEAL, SEAL_IS_APPEND_ONLY, RUN_SUMMARY,
    ]  # fmt: skip
