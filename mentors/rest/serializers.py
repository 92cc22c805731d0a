"""Requests are taken at their word: a field that does not exist, or may not be written, is refused by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

UNKNOWN = "There is no such field."
READ_ONLY = "This field cannot be written."


class StrictSerializer(serializers.Serializer[Any]):
    """The body of a request.

    A change may repeat what a GET returned: fields that cannot be written are accepted as long as they are unchanged.
    For that, `current` in the context is the representation of what is being changed.
    """

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._refuse_what_cannot_be_written(data)
        return super().to_internal_value(data)

    def _refuse_what_cannot_be_written(self, data: Mapping[str, Any]) -> None:
        writable = {name for name, field in self.fields.items() if not field.read_only}
        current = self.context.get("current", {})
        errors = {}
        for name in data.keys() - writable:
            if name not in current:
                errors[name] = [serializers.ErrorDetail(UNKNOWN, code="unknown_field")]
            elif data[name] != current[name]:
                errors[name] = [serializers.ErrorDetail(READ_ONLY, code="read_only")]
        if errors:
            raise serializers.ValidationError(errors)


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a representation as the client gets it: dates as text."""
    return json.loads(JSONRenderer().render(row))  # type: ignore[no-any-return]


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


class Reason(StrictSerializer):
    """Why a person does it: kept in the record."""

    reason = serializers.CharField(max_length=1000)
