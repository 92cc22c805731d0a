"""What is true: types, certifications and their history, exemptions, extensions; the desk's rosters and calendars."""

from __future__ import annotations

import uuid
from datetime import date
from pathlib import Path

from django.contrib.postgres.indexes import OpClass
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models
from django.db.models import CASCADE, DO_NOTHING, PROTECT, CheckConstraint, F, ForeignKey, Index, Q, UniqueConstraint
from django.db.models.functions import Coalesce, Upper
from pgtrigger.compiler import Trigger, UpsertTriggerSql
from pgtrigger.migrations import AddTrigger

ID = models.BigAutoField("ID", auto_created=True, primary_key=True, serialize=False)
ORGANISATION, MENTOR, USER = "mentors.organisation", "mentors.mentor", "mentors.user"
TYPE = "certifications.certificationtype"
REASONABLE = [MinValueValidator(date(1900, 1, 1)), MaxValueValidator(date(2199, 12, 31))]

CERTIFICATION_TYPE = migrations.CreateModel(
    name="CertificationType",
    fields={
        "id": ID,
        "code": models.SlugField("code"),
        "name": models.CharField("name", max_length=200),
        "required": models.BooleanField(
            "required", default=False, help_text="A mentor without a valid one is paused (rule 7)."
        ),
        "validity_months": models.PositiveSmallIntegerField("valid for months", null=True, blank=True),
        "grace_days": models.PositiveSmallIntegerField("days of grace", default=0),
        "organisation": ForeignKey(
            ORGANISATION, PROTECT, verbose_name="organisation", related_name="certification_types"
        ),
    }.items(),
    options={
        "verbose_name": "certification type",
        "verbose_name_plural": "certification types",
        "ordering": ("code",),
        "constraints": [UniqueConstraint(fields=["organisation", "code"], name="type_code_is_unique")],
    },
)

# What a certification has, and its history as well.
CERTIFICATION_FIELDS = {
    "number": models.CharField("number", max_length=50, blank=True),
    "issued_on": models.DateField("issued on", validators=REASONABLE),
    "expires_on": models.DateField(
        "expires on", null=True, blank=True, validators=REASONABLE, help_text="Empty: open-ended."
    ),
    "revoked_at": models.DateTimeField("revoked at", null=True, blank=True),
    "revoked_reason": models.TextField("revoked reason", blank=True),
    "created_at": models.DateTimeField("created at", auto_now_add=True),
}

CERTIFICATION = migrations.CreateModel(
    name="Certification",
    fields={
        "id": ID,
        **CERTIFICATION_FIELDS,
        "updated_at": models.DateTimeField("updated at", auto_now=True),
        "mentor": ForeignKey(MENTOR, PROTECT, verbose_name="mentor", related_name="certifications", db_index=False),
        "type": ForeignKey(TYPE, PROTECT, verbose_name="type", related_name="certifications", db_index=False),
    }.items(),
    options={
        "verbose_name": "certification",
        "verbose_name_plural": "certifications",
        "ordering": ("expires_on", "id"),
        "constraints": [
            UniqueConstraint(fields=["mentor", "type", "number", "issued_on"], name="certification_is_recorded_once"),
            CheckConstraint(
                condition=Q(expires_on__isnull=True) | Q(expires_on__gte=F("issued_on")),
                name="certification_expires_after_issue",
            ),
        ],
        "indexes": [
            Index(fields=["expires_on"], condition=Q(revoked_at__isnull=True), name="certification_expires_on"),
            Index(fields=["issued_on"], condition=Q(revoked_at__isnull=True), name="certification_issued_on"),
            Index(fields=["type", "expires_on", "issued_on", "revoked_at"], name="certification_of_type"),
            Index(
                Coalesce("expires_on", models.Value(date(9999, 12, 31)), output_field=models.DateField()),
                "id",
                include=["type", "expires_on", "issued_on", "revoked_at"],
                name="certification_by_expiry",
            ),
            Index(
                fields=["mentor", "expires_on"],
                include=["id", "type", "issued_on", "revoked_at"],
                name="certification_of_mentor",
            ),
            Index(fields=["type", "expires_on"], condition=Q(revoked_at__isnull=False), name="certification_revoked"),
            Index(OpClass(Upper("number"), name="text_pattern_ops"), name="certification_search_number"),
        ],
    },
)

# A row of the history may outlive what it points at.
LOOSE = {"db_constraint": False, "related_name": "+"}
CERTIFICATION_EVENT = migrations.CreateModel(
    name="CertificationEvent",
    fields={
        "pgh_id": models.AutoField(primary_key=True, serialize=False),
        "pgh_created_at": models.DateTimeField(auto_now_add=True),
        "pgh_label": models.TextField(help_text="The event label."),
        "id": models.BigIntegerField(),
        **CERTIFICATION_FIELDS,
        "mentor": ForeignKey(MENTOR, DO_NOTHING, verbose_name="mentor", related_query_name="+", **LOOSE),
        "pgh_context": ForeignKey("pghistory.context", DO_NOTHING, null=True, **LOOSE),
        "pgh_obj": ForeignKey("certifications.certification", DO_NOTHING, db_constraint=False, related_name="events"),
        "type": ForeignKey(TYPE, DO_NOTHING, verbose_name="type", related_query_name="+", **LOOSE),
    }.items(),
)


def read(file: str) -> str:
    """Return the SQL in a file beside this one."""
    return Path(__file__).with_name(file).read_text(encoding="utf-8")


def compiled(file: str) -> list[str]:
    """Return the paragraphs of a file as django-pghistory compiles them: each on one line."""
    return [" ".join(line.strip() for line in paragraph.splitlines()) for paragraph in read(file).split("\n\n")]


def write_history(name: str, **sql: str) -> AddTrigger:
    sql |= {"table": "certifications_certification", "when": "AFTER"}
    return AddTrigger(model_name="certification", trigger=Trigger(name=name, sql=UpsertTriggerSql(**sql)))


_, INSERT, UPDATE, DELETE = compiled("0001_certification_history.sql")
# An update of nothing but `updated_at` is not kept.
KEPT = (
    "created_at", "expires_on", "id", "issued_on", "mentor_id", "number", "revoked_at", "revoked_reason", "type_id",
)  # fmt: skip
CHANGED = " OR ".join(f'OLD."{column}" IS DISTINCT FROM (NEW."{column}")' for column in KEPT)
CERTIFICATION_HISTORY = [
    write_history(
        "insert_insert",
        operation="INSERT",
        level="STATEMENT",
        referencing="REFERENCING NEW TABLE AS new_values ",
        func=INSERT,
        pgid="pgtrigger_insert_insert_fb1f5",
        hash="968db9819f22c1a109f5812d3ba0b74de4527ddf",
    ),
    write_history(
        "update_update",
        operation="UPDATE",
        condition=f"WHEN ({CHANGED})",
        func=UPDATE,
        pgid="pgtrigger_update_update_6ddd1",
        hash="324d143e74e689ec7a2a2a33978b924e195a0b08",
    ),
    write_history(
        "delete_delete",
        operation="DELETE",
        level="STATEMENT",
        referencing="REFERENCING OLD TABLE AS old_values ",
        func=DELETE,
        pgid="pgtrigger_delete_delete_04777",
        hash="5a4f18d5a3bc00b44106e50a9411799633f3a439",
    ),
]

LAPSES_ON = migrations.RunSQL(
    sql=read("0001_lapses_on.sql"),
    reverse_sql="""
        DROP FUNCTION certification_refreshes_lapses_on, type_refreshes_lapses_on, organisation_refreshes_lapses_on
            CASCADE;  -- to their triggers
        DROP FUNCTION refresh_lapses_on, lapses_on;
    """,
)

EXEMPTION = migrations.CreateModel(
    name="Exemption",
    fields={
        "id": ID,
        "from_on": models.DateField("from"),
        "until_on": models.DateField("until"),
        "reason": models.TextField("reason"),
        "created_at": models.DateTimeField("created at", auto_now_add=True),
        "approved_by": ForeignKey(USER, PROTECT, verbose_name="approved by", related_name="approved_exemptions"),
        "mentor": ForeignKey(MENTOR, PROTECT, verbose_name="mentor", related_name="exemptions"),
        "type": ForeignKey(TYPE, PROTECT, verbose_name="type", related_name="exemptions"),
    }.items(),
    options={
        "verbose_name": "exemption",
        "verbose_name_plural": "exemptions",
        "ordering": ("-until_on", "id"),
        "constraints": [
            CheckConstraint(condition=Q(until_on__gte=F("from_on")), name="exemption_ends_after_it_begins")
        ],
        "indexes": [Index(fields=["until_on", "from_on"], name="exemption_in_force")],
    },
)

EXTENSION = migrations.CreateModel(
    name="Extension",
    fields={
        "id": ID,
        "reason": models.TextField("reason"),
        "at": models.DateTimeField("time"),
        "undone_at": models.DateTimeField("undone at", null=True),
        "undone_reason": models.TextField("undone reason", blank=True),
        "by": ForeignKey(USER, PROTECT, verbose_name="by", related_name="extensions", db_index=False),
        "organisation": ForeignKey(ORGANISATION, PROTECT, verbose_name="organisation", related_name="extensions"),
        "undone_by": ForeignKey(USER, PROTECT, verbose_name="undone by", related_name="+", null=True, db_index=False),
    }.items(),
    options={
        "verbose_name": "extension",
        "verbose_name_plural": "extensions",
        "ordering": ("-at", "-id"),
        "constraints": [
            CheckConstraint(
                condition=Q(undone_at__isnull=True, undone_by__isnull=True)
                | Q(undone_at__isnull=False, undone_by__isnull=False),
                name="extension_is_undone_by_somebody",
            )
        ],
    },
)

EXTENDED_CERTIFICATION = migrations.CreateModel(
    name="ExtendedCertification",
    fields={
        "id": ID,
        "from_on": models.DateField("expired on before", help_text="The last valid day before the extension."),
        "to_on": models.DateField("to", help_text="The last valid day with it."),
        "undone": models.BooleanField("undone", default=False),
        "certification": ForeignKey(
            "certifications.certification", CASCADE, verbose_name="certification", related_name="extensions"
        ),
        "extension": ForeignKey(
            "certifications.extension", CASCADE, verbose_name="extension", related_name="certifications", db_index=False
        ),
    }.items(),
    options={
        "verbose_name": "extended certification",
        "verbose_name_plural": "extended certifications",
        "ordering": ("id",),
        "constraints": [
            UniqueConstraint(fields=["extension", "certification"], name="extension_extends_each_once"),
            CheckConstraint(condition=Q(to_on__gt=F("from_on")), name="extension_is_to_later"),
        ],
    },
)

ROSTER_UPLOAD = migrations.CreateModel(
    name="RosterUpload",
    fields={
        "id": models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False, serialize=False),
        "name": models.CharField("name", max_length=200),
        "content": models.BinaryField("content"),
        "uploaded_at": models.DateTimeField("uploaded at"),
        "organisation": ForeignKey(
            ORGANISATION, CASCADE, verbose_name="organisation", related_name="+", db_index=False
        ),
        "user": ForeignKey(USER, CASCADE, verbose_name="user", related_name="+", db_index=False),
    }.items(),
    options={"verbose_name": "uploaded roster", "verbose_name_plural": "uploaded rosters"},
)

CALENDAR_FEED = migrations.CreateModel(
    name="CalendarFeed",
    fields={
        "id": ID,
        "digest": models.CharField("digest", max_length=64),
        "created_at": models.DateTimeField("created at"),
        "user": models.OneToOneField(USER, CASCADE, verbose_name="user", related_name="calendar_feed"),
    }.items(),
    options={
        "verbose_name": "calendar",
        "verbose_name_plural": "calendars",
        "constraints": [UniqueConstraint(fields=["digest"], name="calendar_feed_address_is_unique")],
    },
)


class Migration(migrations.Migration):
    initial = True
    dependencies = [("mentors", "0001_initial"), ("pghistory", "0007_auto_20250421_0444")]
    operations = [
        CERTIFICATION_TYPE, CERTIFICATION, CERTIFICATION_EVENT, *CERTIFICATION_HISTORY, LAPSES_ON,
        EXEMPTION, EXTENSION, EXTENDED_CERTIFICATION, ROSTER_UPLOAD, CALENDAR_FEED,
    ]  # fmt: skip
