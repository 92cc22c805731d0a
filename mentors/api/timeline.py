"""Why did this person get, or not get, this? Everything that happened to a mentor, in one list."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Case, F, QuerySet, Value, When
from django.db.models.functions import Cast, Coalesce, Concat, NullIf, Trim
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from cronjobs.models import Action, RunItem
from mentors.models import Mentor, StatusChange
from mentors.record_text import RecordTextField
from notifications.channels import channel_choices
from notifications.models import Answer, Notification

# The rule (docs/rules.md) by which a run decides on an item, and by which it leaves one undone.
RULES = {Action.PAUSE: "rule 4", Action.RESUME: "rule 5", Action.REMIND: "rule 6"}
SKIPPING_RULE = "rule 8"

# An entry's columns in the four parts of the union; a part that lacks one has NULL there.
COLUMNS: dict[str, Any] = {
    "at": models.DateTimeField(),
    "kind": models.CharField(),
    "run": models.UUIDField(),
    "from_status": models.CharField(),
    "to_status": models.CharField(),
    "cause": models.CharField(),
    "reason": RecordTextField(),
    "actor": models.CharField(),
    "action": models.CharField(),
    "type": models.CharField(),
    "number": models.CharField(),
    "expires_on": models.DateField(),
    "stage": models.IntegerField(),
    "rule": models.CharField(),
    "message": models.CharField(),
    "channel": models.CharField(),
    "recipient": models.CharField(),
    "sent_at": models.DateTimeField(),
    "status": models.CharField(),
    "outcome": RecordTextField(),
    "error": RecordTextField(),
    "answer": models.CharField(),
    "id": models.IntegerField(),  # within its kind; only for a lasting order
}


class Kind(models.TextChoices):
    STATUS_CHANGE = "status_change"
    ITEM = "item"
    MESSAGE = "message"
    ANSWER = "answer"


class RecipientKind(models.TextChoices):
    MENTOR = "mentor"
    COORDINATOR = "coordinator"
    OPERATIONS = "operations"


EMPTY = dict.fromkeys(list(COLUMNS)[:-1])
PAUSED = EMPTY | {
    "at": "2026-11-21T23:30:04Z",
    "kind": "status_change",
    "run": "5b0c8f5e-6f0f-4f0e-9d55-0d4b6a3f7c11",
    "from_status": "active",
    "to_status": "paused",
    "cause": "certification_expired",
    "reason": "Lapsed: likepersonkurs",
}
REMINDED = EMPTY | {
    "at": "2026-11-14T23:30:02Z",
    "kind": "item",
    "run": "0f4e2c67-0a3b-4f5e-8c3c-7d1f7f3b9a52",
    "action": "remind",
    "type": "likepersonkurs",
    "number": "A1017",
    "expires_on": "2026-11-21",
    "stage": 7,
    "rule": "rule 6",
    "status": "done",
    "outcome": "reminded",
}
ANSWERED = EMPTY | {"at": "2026-11-15T09:12:40Z", "kind": "answer", "answer": "renewing"}


@extend_schema_serializer(
    examples=[
        OpenApiExample("A pause", value=PAUSED),
        OpenApiExample("A reminder", value=REMINDED),
        OpenApiExample("An answer", value=ANSWERED),
    ]
)
class TimelineEntrySerializer(serializers.Serializer[Any]):
    """Of each kind only its own fields are filled; the others are null."""

    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(Kind.choices)
    run = serializers.UUIDField(allow_null=True, help_text="The run that did it; null: no run.")
    from_status = serializers.ChoiceField(Mentor.Status.choices, allow_null=True)
    to_status = serializers.ChoiceField(Mentor.Status.choices, allow_null=True)
    cause = serializers.ChoiceField(
        Mentor.PauseCause.choices, allow_null=True, help_text="Of the pause that begins or ends."
    )
    reason = serializers.CharField(allow_null=True)
    actor = serializers.CharField(allow_null=True, help_text="The name of who changed the status; null: the system.")
    action = serializers.ChoiceField(Action.choices, allow_null=True)
    type = serializers.CharField(allow_null=True, help_text="Codes of types, joined by commas.")
    number = serializers.CharField(allow_null=True)
    expires_on = serializers.DateField(allow_null=True)
    stage = serializers.IntegerField(allow_null=True, help_text="In days before the expiry.")
    rule = serializers.CharField(allow_null=True, help_text="The rule that decided on the item.")
    message = serializers.ChoiceField(
        Notification.Kind.choices, allow_null=True, help_text="What it was about, not what it said."
    )
    channel = serializers.ChoiceField(channel_choices(), allow_null=True)
    recipient = serializers.ChoiceField(RecipientKind.choices, allow_null=True)
    sent_at = serializers.DateTimeField(allow_null=True)
    status = serializers.ChoiceField(
        sorted({*RunItem.Status.values, *Notification.Status.values}),
        allow_null=True,
        help_text="What became of the item or the message.",
    )
    outcome = serializers.CharField(allow_null=True, help_text="Of the item, in words.")
    error = serializers.CharField(allow_null=True, help_text="Of the item or the message; empty: none.")
    answer = serializers.ChoiceField(
        Answer.Choice.choices, allow_null=True, help_text="What the mentor answered to a reminder."
    )


def timeline_of(mentor: Mentor) -> QuerySet[Any, Any]:
    """Return the entries of a mentor's timeline as rows, newest first, by one query; `entry` reads a row."""
    parts = _status_changes(mentor), _items(mentor), _messages(mentor), _answers(mentor)
    return parts[0].union(*parts[1:], all=True).order_by("-its_at", "its_kind", "-its_id")


def entry(row: dict[str, Any]) -> dict[str, Any]:
    """Return what `TimelineEntrySerializer` describes."""
    return {name: row[f"its_{name}"] for name in EMPTY}


def _status_changes(mentor: Mentor) -> QuerySet[Any, Any]:
    full_name = NullIf(Trim(Concat("actor__first_name", Value(" "), "actor__last_name")), Value(""))
    return _part(
        StatusChange.objects.filter(mentor=mentor),
        kind=Value(Kind.STATUS_CHANGE),
        at=F("at"),
        run=F("run_id"),
        from_status=F("from_status"),
        to_status=F("to_status"),
        cause=F("cause"),
        reason=F("reason"),
        actor=Coalesce(full_name, "actor__username"),
    )


def _items(mentor: Mentor) -> QuerySet[Any, Any]:
    skipped = When(status=RunItem.Status.SKIPPED, then=Value(SKIPPING_RULE))
    decided = [When(action=action, then=Value(rule)) for action, rule in RULES.items()]
    names = ("at", "action", "type", "number", "expires_on", "stage", "status", "outcome", "error")
    return _part(
        RunItem.objects.filter(mentor=mentor),
        kind=Value(Kind.ITEM),
        run=F("run_id"),
        rule=Case(skipped, *decided),
        **{name: F(name) for name in names},
    )


def _messages(mentor: Mentor) -> QuerySet[Any, Any]:
    """Return the messages about the mentor; those to the mentor are among them."""
    to_the_mentor = When(recipient_mentor__isnull=False, then=Value(RecipientKind.MENTOR))
    to_a_coordinator = When(recipient_user__isnull=False, then=Value(RecipientKind.COORDINATOR))
    return _part(
        Notification.objects.filter(about=mentor),
        kind=Value(Kind.MESSAGE),
        at=F("created_at"),
        run=F("run_id"),
        message=F("kind"),
        channel=F("channel"),
        recipient=Case(to_the_mentor, to_a_coordinator, default=Value(RecipientKind.OPERATIONS)),
        sent_at=F("sent_at"),
        status=F("status"),
        error=F("error"),
    )


def _answers(mentor: Mentor) -> QuerySet[Any, Any]:
    return _part(Answer.objects.filter(mentor=mentor), kind=Value(Kind.ANSWER), at=F("at"), answer=F("choice"))


def _part(rows: QuerySet[Any], **columns: models.Expression | F) -> QuerySet[Any, Any]:
    # The prefix keeps a column apart from a field of the model that is called the same and means something else.
    columns["id"] = F("pk")
    return rows.order_by().values(
        **{f"its_{name}": Cast(columns.get(name, Value(None)), output_field=type) for name, type in COLUMNS.items()}
    )
