"""A certification as JSON, and the bodies that record, change and renew one."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework import serializers

from certifications.models import CertificationType
from certifications.states import State
from mentors.accounts.scope import Scope
from mentors.models import Mentor
from mentors.rest.openapi import examples
from mentors.rest.serializers import InScope, StrictSerializer

EXAMPLE = {
    "id": 17,
    "mentor": 5,
    "mentor_ref": "M-0012",
    "mentor_name": "Liv Moe",
    "chapter": 2,
    "type": "likepersonkurs",
    "type_name": "Likepersonkurs",
    "required": True,
    "number": "A1017",
    "issued_on": "2024-12-01",
    "expires_on": "2026-12-01",
    "lapses_on": "2026-12-02",
    "state": "expiring",
    "days_left": 10,
    "revoked_at": None,
    "revoked_reason": "",
    "created_at": "2024-12-02T09:14:00Z",
    "updated_at": "2024-12-02T09:14:00Z",
}


@examples({"Expires soon": EXAMPLE})
class CertificationSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    mentor = serializers.IntegerField()
    mentor_ref = serializers.CharField(source="mentor.ref", help_text="The organisation's own key for the mentor.")
    mentor_name = serializers.CharField(source="mentor.name")
    chapter = serializers.IntegerField(source="mentor.chapter_id")
    type = serializers.CharField(help_text="The code of the type.")
    type_name = serializers.CharField()
    required = serializers.BooleanField(  # type: ignore[assignment]  # a field has `required` of its own
        help_text="Whether a mentor without a valid one is paused."
    )
    number = serializers.CharField(allow_blank=True)
    issued_on = serializers.DateField()
    expires_on = serializers.DateField(allow_null=True, help_text="Empty: open-ended.")
    lapses_on = serializers.DateField(allow_null=True, help_text="The first day not covered (rule 1).")
    state = serializers.ChoiceField(State.choices)
    days_left = serializers.IntegerField(allow_null=True, help_text="Until it expires; negative when it has.")
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_reason = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


@examples({"Expires soon": EXAMPLE | {"stages_sent": [30, 14]}})
class ExpiringSerializer(CertificationSerializer):
    stages_sent = serializers.ListField(
        child=serializers.IntegerField(), help_text="The reminders that were sent, in days before the expiry."
    )


def _mentors(scope: Scope | None) -> QuerySet[Mentor]:
    return Mentor.objects.select_related("organisation").filter(scope.mentors()) if scope else Mentor.objects.none()


class TypeOfMentorSerializer(StrictSerializer):
    """What is about a mentor in the scope of the user and a type of her organisation."""

    mentor = InScope(_mentors)
    type = serializers.SlugField(max_length=50, help_text="The code of a type of the mentor's organisation.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        type = CertificationType.objects.filter(
            organisation=attrs["mentor"].organisation_id, code=attrs["type"]
        ).first()
        if type is None:
            raise refuse_field("type", _("The organisation has no such type."), code="does_not_exist")
        return attrs | {"type": type}


def refuse_field(field: str, message: str, *, code: str) -> serializers.ValidationError:
    return serializers.ValidationError({field: serializers.ErrorDetail(message, code=code)})


@examples(
    {
        "The type says for how long": {
            "mentor": 5,
            "type": "likepersonkurs",
            "number": "A1017",
            "issued_on": "2026-11-20",
        }
    }
)
class RecordSerializer(TypeOfMentorSerializer):
    """A certification to be recorded."""

    number = serializers.CharField(max_length=50, allow_blank=True, required=False)
    issued_on = serializers.DateField()
    expires_on = serializers.DateField(
        allow_null=True, required=False, help_text="Left out: as the type says. Null: open-ended."
    )


@examples({"A later expiry": {"issued_on": "2024-12-01", "expires_on": "2027-12-01"}})
class ChangeSerializer(StrictSerializer):
    """What may be changed of a certification."""

    moving = frozenset({"days_left"})

    number = serializers.CharField(max_length=50, allow_blank=True, required=False)
    issued_on = serializers.DateField()
    expires_on = serializers.DateField(allow_null=True, help_text="Null: open-ended.")


@examples({"Renewed today": {"issued_on": "2026-11-20"}})
class RenewSerializer(StrictSerializer):
    """The successor of a certification."""

    issued_on = serializers.DateField()
    expires_on = serializers.DateField(
        allow_null=True, required=False, help_text="Left out: as the type says. Null: open-ended."
    )
    number = serializers.CharField(
        max_length=50, allow_blank=True, required=False, help_text="Left out: as the old one."
    )
