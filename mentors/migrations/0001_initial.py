"""Who there is: users, organisations, chapters, roles and mentors; a mentor's history, and every change of a status."""

from __future__ import annotations

from datetime import time
from pathlib import Path

from django.contrib.auth.models import UserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVector
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import migrations, models
from django.db.models import CASCADE, DO_NOTHING, PROTECT, CheckConstraint, ForeignKey, Index, Q, UniqueConstraint
from django.db.models.functions import Upper
from django.utils import timezone
from pgtrigger.compiler import Trigger, UpsertTriggerSql
from pgtrigger.migrations import AddTrigger

from mentors.models import default_reminder_days, validate_timezone
from mentors.validators import validate_not_reserved

ID = models.BigAutoField("ID", auto_created=True, primary_key=True, serialize=False)
LANGUAGES = [("nb", "Norsk bokmål"), ("nn", "Norsk nynorsk"), ("en", "English")]
STATUSES = [("active", "active"), ("paused", "paused"), ("ended", "ended")]
PAUSE_CAUSES = [
    ("manual", "paused by a person"),
    ("certification_expired", "a certification has expired"),
    ("certification_revoked", "a certification was revoked"),
]
ONE_LINE = RegexValidator(
    r"[\x00-\x1f\x7f-\x9f]", "Write it in one line, without control characters.", inverse_match=True
)
PHONE = RegexValidator(r"^\+[1-9][0-9]{6,14}\Z", "Write the number as +4712345678 (E.164).")
ORIGIN = RegexValidator(
    r"^https?://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?\Z",
    "Write it as https://www.example.org: no path, no wildcard, in small letters.",
)

# Django's own user, in a table of ours.
USER = migrations.CreateModel(
    name="User",
    fields={
        "id": ID,
        "password": models.CharField("password", max_length=128),
        "last_login": models.DateTimeField("last login", null=True, blank=True),
        "is_superuser": models.BooleanField(
            "superuser status",
            default=False,
            help_text="Designates that this user has all permissions without explicitly assigning them.",
        ),
        "username": models.CharField(
            "username",
            max_length=150,
            unique=True,
            validators=[UnicodeUsernameValidator()],
            help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
            error_messages={"unique": "A user with that username already exists."},
        ),
        "first_name": models.CharField("first name", max_length=150, blank=True),
        "last_name": models.CharField("last name", max_length=150, blank=True),
        "email": models.EmailField("email address", max_length=254, blank=True),
        "is_staff": models.BooleanField(
            "staff status", default=False, help_text="Designates whether the user can log into this admin site."
        ),
        "is_active": models.BooleanField(
            "active",
            default=True,
            help_text="Designates whether this user should be treated as active. "
            "Unselect this instead of deleting accounts.",
        ),
        "date_joined": models.DateTimeField("date joined", default=timezone.now),
        "groups": models.ManyToManyField(
            "auth.group",
            verbose_name="groups",
            blank=True,
            related_name="user_set",
            related_query_name="user",
            help_text="The groups this user belongs to. "
            "A user will get all permissions granted to each of their groups.",
        ),
        "user_permissions": models.ManyToManyField(
            "auth.permission",
            verbose_name="user permissions",
            blank=True,
            related_name="user_set",
            related_query_name="user",
            help_text="Specific permissions for this user.",
        ),
    }.items(),
    options={"verbose_name": "user", "verbose_name_plural": "users"},
    managers=[("objects", UserManager())],
)

ORGANISATION = migrations.CreateModel(
    name="Organisation",
    fields={
        "id": ID,
        "slug": models.SlugField("slug", unique=True, validators=[validate_not_reserved]),
        "name": models.CharField("name", max_length=200),
        "timezone": models.CharField("timezone", max_length=64, default="Europe/Oslo", validators=[validate_timezone]),
        "language": models.CharField("language", max_length=2, choices=LANGUAGES, default="nb"),
        "auto_pause": models.BooleanField("pauses by itself", default=True),
        "auto_resume": models.BooleanField("resumes by itself", default=True),
        "reminder_days": ArrayField(
            models.PositiveSmallIntegerField(validators=[MaxValueValidator(366)]),
            verbose_name="reminds so many days before",
            default=default_reminder_days,
            blank=True,
        ),
        "valid_through_expiry_day": models.BooleanField(
            "valid through the expiry day",
            default=True,
            help_text="Is a certification still valid on the day it expires?",
        ),
        "sending_from": models.TimeField(
            "sending from", default=time(8), help_text="Messages leave from this local time."
        ),
        "sending_until": models.TimeField(
            "sending until", default=time(20), help_text="Equal to the start: at all hours."
        ),
        "coordinator_mail": models.CharField(
            "coordinators' e-mail",
            max_length=6,
            choices=[("digest", "one e-mail a run"), ("each", "one e-mail for each mentor")],
            default="digest",
        ),
        "brake_percent": models.PositiveSmallIntegerField(
            "brake, in percent of the mentors",
            default=30,
            validators=[MaxValueValidator(100)],
            help_text="A night may pause this share of the mentors …",
        ),
        "brake_minimum": models.PositiveIntegerField(
            "brake, at least", default=20, help_text="… or this many, whichever is more."
        ),
        "catch_up_hours": models.PositiveSmallIntegerField(
            "made up within hours",
            default=24,
            validators=[MinValueValidator(1)],
            help_text="How late a missed night may still run.",
        ),
        "embed_on": ArrayField(
            models.CharField(max_length=200, validators=[ORIGIN]),
            verbose_name="may be shown on",
            default=list,
            db_default=[],
            blank=True,
            help_text="Web sites that may show the public pages in a frame, as https://www.example.org.",
        ),
    }.items(),
    options={"verbose_name": "organisation", "verbose_name_plural": "organisations", "ordering": ("slug",)},
)

CHAPTER = migrations.CreateModel(
    name="Chapter",
    fields={
        "id": ID,
        "name": models.CharField("name", max_length=200),
        "slug": models.SlugField("slug", max_length=200),
        "organisation": ForeignKey(
            "mentors.organisation", PROTECT, verbose_name="organisation", related_name="chapters"
        ),
    }.items(),
    options={
        "verbose_name": "chapter",
        "verbose_name_plural": "chapters",
        "ordering": ("name",),
        "constraints": [
            UniqueConstraint(fields=["organisation", "slug"], name="chapter_slug_is_unique"),
            UniqueConstraint(fields=["organisation", "name"], name="chapter_name_is_unique"),
            UniqueConstraint(fields=["id", "organisation"], name="chapter_with_organisation"),
        ],
    },
)

COORDINATOR_ROLE = migrations.CreateModel(
    name="CoordinatorRole",
    fields={
        "id": ID,
        "chapter": ForeignKey(
            "mentors.chapter", CASCADE, verbose_name="chapter", related_name="roles", null=True, blank=True
        ),
        "user": ForeignKey("mentors.user", CASCADE, verbose_name="user", related_name="roles"),
        "organisation": ForeignKey("mentors.organisation", CASCADE, verbose_name="organisation", related_name="roles"),
        "duty": models.CharField(
            "duty",
            max_length=11,
            choices=[("coordinator", "looks after mentors"), ("auditor", "reads the organisation's runs")],
            default="coordinator",
        ),
    }.items(),
    options={
        "verbose_name": "role",
        "verbose_name_plural": "roles",
        "constraints": [
            UniqueConstraint(
                fields=["user", "duty", "organisation", "chapter"], nulls_distinct=False, name="role_is_unique"
            ),
            CheckConstraint(
                condition=Q(duty="coordinator") | Q(chapter__isnull=True), name="auditor_reads_the_whole_organisation"
            ),
        ],
    },
)

# What a mentor has, and a mentor's history as well.
MENTOR_FIELDS = {
    "ref": models.CharField(
        "ref", max_length=50, validators=[ONE_LINE], help_text="The organisation's own key for the mentor."
    ),
    "name": models.CharField("name", max_length=200, validators=[ONE_LINE]),
    "email": models.EmailField("email", max_length=254, blank=True),
    "phone": models.CharField("phone", max_length=16, blank=True, validators=[PHONE]),
    "language": models.CharField("language", max_length=2, choices=LANGUAGES, default="nb"),
    "status": models.CharField("status", max_length=6, choices=STATUSES, default="active"),
    "pause_cause": models.CharField("pause cause", max_length=21, choices=PAUSE_CAUSES, null=True, blank=True),
    "pause_reason": models.TextField("pause reason", blank=True),
    "listed": models.BooleanField(
        "on the public page", default=True, help_text="Consents to stand on the public page."
    ),
}
CREATED_AT = models.DateTimeField("created at", auto_now_add=True)
SEARCHABLE = models.BooleanField(
    "found by search engines",
    default=False,
    db_default=False,
    help_text="Consents to be found there by search engines.",
)

MENTOR = migrations.CreateModel(
    name="Mentor",
    fields={
        "id": ID,
        **MENTOR_FIELDS,
        "lapses_on": models.DateField("lapses on", null=True, editable=False),
        "created_at": CREATED_AT,
        "updated_at": models.DateTimeField("updated at", auto_now=True),
        "chapter": ForeignKey(
            "mentors.chapter", PROTECT, verbose_name="chapter", related_name="mentors", db_index=False
        ),
        "organisation": ForeignKey(
            "mentors.organisation", PROTECT, verbose_name="organisation", related_name="mentors", db_index=False
        ),
        "searchable": SEARCHABLE,
    }.items(),
    options={
        "verbose_name": "mentor",
        "verbose_name_plural": "mentors",
        "ordering": ("name", "id"),
        "constraints": [
            UniqueConstraint(fields=["organisation", "ref"], name="mentor_ref_is_unique"),
            CheckConstraint(
                condition=Q(status="paused", pause_cause__isnull=False)
                | (~Q(status="paused") & Q(pause_cause__isnull=True)),
                name="mentor_has_a_cause_exactly_when_paused",
            ),
        ],
        "indexes": [
            Index(fields=["organisation", "lapses_on"], condition=Q(status="active"), name="mentor_active_lapses_on"),
            Index(
                fields=["organisation", "lapses_on"],
                condition=Q(status="paused", pause_cause="certification_expired"),
                name="mentor_expired_lapses_on",
            ),
            Index(fields=["chapter", "name", "id"], name="mentor_of_chapter"),
            Index(fields=["organisation", "name", "id"], name="mentor_of_organisation"),
            Index(fields=["name", "id"], name="mentor_by_name"),
            Index(fields=["ref", "id"], name="mentor_by_ref"),
            Index(fields=["status", "pause_cause", "listed", "organisation"], name="mentor_by_status"),
            GinIndex(SearchVector("name", config="simple"), name="mentor_search_name"),
            Index(OpClass(Upper("ref"), name="text_pattern_ops"), name="mentor_search_ref"),
        ],
    },
)

# A foreign key over two columns, which Django lacks.
CHAPTER_IS_OF_THE_ORGANISATION = migrations.RunSQL(
    sql="""
        ALTER TABLE mentors_mentor ADD CONSTRAINT mentor_chapter_is_of_the_organisation
        FOREIGN KEY (chapter_id, organisation_id) REFERENCES mentors_chapter (id, organisation_id)
        DEFERRABLE INITIALLY DEFERRED
    """,
    reverse_sql="ALTER TABLE mentors_mentor DROP CONSTRAINT mentor_chapter_is_of_the_organisation",
)

# A row of the history may outlive what it points at.
LOOSE = {"db_constraint": False, "related_name": "+", "related_query_name": "+"}
MENTOR_EVENT = migrations.CreateModel(
    name="MentorEvent",
    fields={
        "pgh_id": models.AutoField(primary_key=True, serialize=False),
        "pgh_created_at": models.DateTimeField(auto_now_add=True),
        "pgh_label": models.TextField(help_text="The event label."),
        "id": models.BigIntegerField(),
        **MENTOR_FIELDS,
        "created_at": CREATED_AT,
        "chapter": ForeignKey("mentors.chapter", DO_NOTHING, verbose_name="chapter", **LOOSE),
        "pgh_obj": ForeignKey("mentors.mentor", DO_NOTHING, db_constraint=False, related_name="events"),
        "organisation": ForeignKey("mentors.organisation", DO_NOTHING, verbose_name="organisation", **LOOSE),
        "searchable": SEARCHABLE,
    }.items(),
)


def compiled(file: str) -> list[str]:
    """Return the paragraphs of a file beside this one as django-pghistory compiles them: each on one line."""
    paragraphs = Path(__file__).with_name(file).read_text(encoding="utf-8").split("\n\n")
    return [" ".join(line.strip() for line in paragraph.splitlines()) for paragraph in paragraphs]


def write_history(name: str, **sql: str) -> AddTrigger:
    sql |= {"table": "mentors_mentor", "when": "AFTER"}
    return AddTrigger(model_name="mentor", trigger=Trigger(name=name, sql=UpsertTriggerSql(**sql)))


_, INSERT, UPDATE, DELETE = compiled("0001_mentor_history.sql")
# An update of nothing but `lapses_on` and `updated_at` is not kept.
KEPT = (
    "chapter_id", "created_at", "email", "id", "language", "listed", "name", "organisation_id", "pause_cause",
    "pause_reason", "phone", "ref", "searchable", "status",
)  # fmt: skip
CHANGED = " OR ".join(f'OLD."{column}" IS DISTINCT FROM (NEW."{column}")' for column in KEPT)
MENTOR_HISTORY = [
    write_history(
        "insert_insert",
        operation="INSERT",
        level="STATEMENT",
        referencing="REFERENCING NEW TABLE AS new_values ",
        func=INSERT,
        pgid="pgtrigger_insert_insert_8822a",
        hash="195eb5cef8b3242547db580bfbda09e114f1d1d7",
    ),
    write_history(
        "update_update",
        operation="UPDATE",
        condition=f"WHEN ({CHANGED})",
        func=UPDATE,
        pgid="pgtrigger_update_update_0a221",
        hash="d76955be4db2ee5e48a81541be781c8eeca28005",
    ),
    write_history(
        "delete_delete",
        operation="DELETE",
        level="STATEMENT",
        referencing="REFERENCING OLD TABLE AS old_values ",
        func=DELETE,
        pgid="pgtrigger_delete_delete_0c3e4",
        hash="1ddd99c781eaccb9e5a8ce81788f29669c3ccfba",
    ),
]

STATUS_CHANGE = migrations.CreateModel(
    name="StatusChange",
    fields={
        "id": ID,
        "from_status": models.CharField("from status", max_length=6, choices=STATUSES),
        "to_status": models.CharField("to status", max_length=6, choices=STATUSES),
        "cause": models.CharField("cause", max_length=21, choices=PAUSE_CAUSES, null=True),
        "reason": models.TextField("reason", blank=True),
        "run_id": models.UUIDField("run", null=True),
        "at": models.DateTimeField("time"),
        "actor": ForeignKey(
            "mentors.user", PROTECT, verbose_name="actor", null=True, db_index=False, help_text="Empty: the system."
        ),
        "mentor": ForeignKey(
            "mentors.mentor", PROTECT, verbose_name="mentor", related_name="status_changes", db_index=False
        ),
    }.items(),
    options={
        "verbose_name": "status change",
        "verbose_name_plural": "status changes",
        "ordering": ("-id",),
        "indexes": [
            Index(fields=["mentor", "-id"], name="status_change_newest_first"),
            Index(fields=["run_id"], condition=Q(run_id__isnull=False), name="status_change_of_run"),
        ],
    },
)
STATUS_CHANGE_IS_APPEND_ONLY = AddTrigger(
    model_name="statuschange",
    trigger=Trigger(
        name="append_only",
        sql=UpsertTriggerSql(
            pgid="pgtrigger_append_only_d93d9",
            table="mentors_statuschange",
            when="BEFORE",
            operation="UPDATE OR DELETE",
            func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
            hash="9973b4dfb79455b4cc5bf464c5539062e08712ae",
        ),
    ),
)


class Migration(migrations.Migration):
    initial = True
    dependencies = [("auth", "0012_alter_user_first_name_max_length"), ("pghistory", "0007_auto_20250421_0444")]
    operations = [
        USER, ORGANISATION, CHAPTER, COORDINATOR_ROLE,
        MENTOR, CHAPTER_IS_OF_THE_ORGANISATION, MENTOR_EVENT, *MENTOR_HISTORY,
        STATUS_CHANGE, STATUS_CHANGE_IS_APPEND_ONLY,
    ]  # fmt: skip
