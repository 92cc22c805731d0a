"""Requests are taken at their word: a field that does not exist, or may not be written, is refused by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from mentors.models import Organisation
from mentors.record_text import RecordText

UNKNOWN = _("There is no such field.")
READ_ONLY = _("This field cannot be written.")
JSON_TYPES: dict[type[serializers.Field[Any, Any, Any, Any]], type] = {
    serializers.CharField: str,
    serializers.ChoiceField: str,
    serializers.BooleanField: bool,
    serializers.IntegerField: int,
    serializers.DateField: str,
}
WRONG_TYPE = {
    str: _("This must be a text."),
    bool: _("This must be true or false."),
    int: _("This must be a whole number."),
}


class StrictSerializer(serializers.Serializer[Any]):
    """The body of a request.

    A change may repeat what a GET returned: fields that cannot be written are accepted as long as they are unchanged.
    For that, `current` in the context is the representation of what is being changed. Those that are `moving` may have
    changed by themselves since that GET.
    """

    moving: ClassVar[frozenset[str]] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._refuse_what_cannot_be_written(data)
            self._refuse_other_values(data)
        return super().to_internal_value(data)

    def _refuse_other_values(self, data: Mapping[str, Any]) -> None:
        """Take JSON at its word as well: 1 is neither "1" nor true, as REST framework would have it."""
        errors = {}
        for name, field in self.fields.items():
            wanted = next((type for kind, type in JSON_TYPES.items() if isinstance(field, kind)), None)
            value = data.get(name)
            longest = getattr(field, "max_length", None)
            if wanted and value is not None and type(value) is not wanted:
                errors[name] = [serializers.ErrorDetail(str(WRONG_TYPE[wanted]), code="wrong_type")]
            elif isinstance(value, str) and longest and len(value) > longest:  # before spaces around it are cut off
                detail = field.error_messages["max_length"].format(max_length=longest)
                errors[name] = [serializers.ErrorDetail(detail, code="max_length")]
        if errors:
            raise serializers.ValidationError(errors)

    def _refuse_what_cannot_be_written(self, data: Mapping[str, Any]) -> None:
        writable = {name for name, field in self.fields.items() if not field.read_only}
        current = self.context.get("current", {})
        errors = {}
        for name in data.keys() - writable:
            if name not in current:
                errors[name] = [serializers.ErrorDetail(str(UNKNOWN), code="unknown_field")]
            elif name not in self.moving and not _is_as_shown(data[name], current[name]):
                errors[name] = [serializers.ErrorDetail(str(READ_ONLY), code="read_only")]
        if errors:
            raise serializers.ValidationError(errors)


def _is_as_shown(value: object, current: object) -> bool:
    """Whether a GET, in whatever language, has shown the value."""
    return value in current.in_all_languages() if isinstance(current, RecordText) else value == current


@cache
def sources_of(serializer: type[serializers.Serializer[Any]]) -> dict[str, str]:
    """Return, by the name of each field of a resource, the attribute that it is read from: the field's `source`.

    The fields of the serializer are the only list of what the API shows of a resource.
    """
    return {name: field.source or name for name, field in serializer().fields.items()}


def represent(serializer: type[serializers.Serializer[Any]], obj: object, **computed: Any) -> dict[str, Any]:
    """Return what the API shows of an object: the fields of the serializer, computed by the view or read by source.

    Faster than the serializer's own `data`, because nothing is converted before the renderer: a list is mostly this.
    """
    readers = _readers_of(serializer)
    return {name: computed[name] if name in computed else read(obj) for name, read in readers.items()}


@cache
def _readers_of(serializer: type[serializers.Serializer[Any]]) -> dict[str, Callable[[object], Any]]:
    return {name: attrgetter(source) for name, source in sources_of(serializer).items()}


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a representation as the client gets it, dates as text; but for sentences, which have several languages."""
    said = {name: value for name, value in row.items() if isinstance(value, RecordText)}
    return json.loads(JSONRenderer().render(row)) | said  # type: ignore[no-any-return]


class InScope(serializers.PrimaryKeyRelatedField[Any]):
    """The id of something the user sees; what is out of scope does not exist here either.

    `find` gets the view's scope and returns the rows to choose from.
    """

    def __init__(self, find: Callable[[Any], QuerySet[Any]], **options: Any) -> None:
        self.find = find
        super().__init__(**options | ({} if options.get("read_only") else {"queryset": find(None)}))

    def get_queryset(self) -> QuerySet[Any]:
        return self.find(self.context["view"].scope)

    def to_internal_value(self, data: Any) -> Model:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("incorrect_type", data_type=type(data).__name__)
        return super().to_internal_value(data)  # type: ignore[no-any-return]


@extend_schema_field({"type": "string", "pattern": "^[-a-zA-Z0-9_]+$", "maxLength": 50})
class OrganisationInScope(serializers.SlugRelatedField[Organisation]):
    """The slug of an organisation in which the user has a role, whichever; others do not exist here either."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="slug", queryset=Organisation.objects.all(), **options)

    def get_queryset(self) -> QuerySet[Organisation]:
        return Organisation.objects.filter(self.context["view"].scope.runs("pk"))

    def to_internal_value(self, data: Any) -> Organisation:
        if not isinstance(data, str) or "\0" in data:
            self.fail("invalid")
        return super().to_internal_value(data)


class NoBody(StrictSerializer):
    """The body of an act that there is nothing to say about: none, or `{}`."""


class Reason(StrictSerializer):
    """Why a person does it: kept in the record."""

    reason = serializers.CharField(max_length=1000)
