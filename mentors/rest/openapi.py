"""The OpenAPI document: examples, the error responses of every operation, and bodies without unknown fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema_serializer
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS, AllowAny

from mentors.rest.serializers import StrictSerializer

S = TypeVar("S", bound=serializers.Serializer[Any])


def examples(values: Mapping[str, Mapping[str, Any]]) -> Callable[[type[S]], type[S]]:
    """Show the values as the examples of a serializer, by their titles.

    Raises ImproperlyConfigured unless an example has the fields of the serializer: all of them, or, as the body of a
    request, at least the required ones.
    """

    def decorate(serializer: type[S]) -> type[S]:
        fields = serializer().fields
        is_body = issubclass(serializer, StrictSerializer)
        needed = {name for name, field in fields.items() if field.required or not is_body}
        for title, value in values.items():
            if wrong := (needed - value.keys()) | (value.keys() - fields.keys()):
                raise ImproperlyConfigured(f"{serializer.__name__}, example “{title}”: missing or unknown {wrong}")
        shown = [OpenApiExample(title, value=value) for title, value in values.items()]
        return extend_schema_serializer(examples=shown)(serializer)

    return decorate


class ErrorDetailSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="For a program.")
    detail = serializers.CharField(help_text="For a person: what is wrong, and what to do.")
    attr = serializers.CharField(allow_null=True, help_text="The field or parameter, if it is one's fault.")


@examples(
    {
        "A field that does not exist": {
            "type": "validation_error",
            "errors": [{"code": "unknown_field", "detail": "There is no such field.", "attr": "expires"}],
        }
    }
)
class ErrorSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(["validation_error", "client_error", "server_error"])
    errors = ErrorDetailSerializer(many=True)  # type: ignore[assignment]  # a serializer has `errors` of its own


@examples(
    {
        "Recorded already": {
            "type": "client_error",
            "errors": [{"code": "already_recorded", "detail": "It is recorded already, as 17.", "attr": None}],
            "id": 17,
        }
    }
)
class ConflictSerializer(ErrorSerializer):
    id = serializers.SerializerMethodField(help_text="What is in the way, if anything is.")

    def get_id(self, _conflict: object) -> int | str | None:
        raise NotImplementedError  # only described here; `errors.Formatter` writes it


ERRORS: dict[int, tuple[type[serializers.Serializer[Any]], str]] = {
    400: (ErrorSerializer, "Malformed: every field and parameter that is wrong, by its name."),
    401: (ErrorSerializer, "No token, or one that is not valid (any more)."),
    403: (ErrorSerializer, "The role sees it and may not do this."),
    404: (ErrorSerializer, "There is none, or none that the role sees."),
    409: (ConflictSerializer, "Not as things are; `id` names what is in the way."),
    412: (ErrorSerializer, "It has changed since it was read; nothing was done."),
    413: (ErrorSerializer, "Too large."),
    415: (ErrorSerializer, "Not JSON."),
    429: (ErrorSerializer, "Too often; `Retry-After` says in how many seconds to try again."),
    503: (ErrorSerializer, "The database is away; `Retry-After` says in how many seconds to try again."),
}


CRUD = {"list", "retrieve", "create", "update", "partial_update", "destroy"}


class OperationSchema(AutoSchema):
    """Adds what views do by themselves: the errors, and the versions of what can be changed."""

    def get_operation_id(self) -> str:
        """Name what is done: `certifications_renew`, where it would be `certifications_renew_create`."""
        operation_id: str = super().get_operation_id()
        action = getattr(self.view, "action", None)
        if action and action not in CRUD:
            return operation_id.removesuffix("_create").removesuffix("_retrieve").removesuffix("_list")
        return operation_id

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if 412 in self._errors():
            parameters.append(
                OpenApiParameter(
                    "If-Match",
                    OpenApiTypes.STR,
                    OpenApiParameter.HEADER,
                    description="The `ETag` that was read: refused with 412 if it has changed since.",
                )
            )
        statuses = [200] if getattr(self.view, "action", None) == "retrieve" else []
        if self.method in {"POST", "PUT", "PATCH"}:
            statuses = [200, 201]
        if statuses and getattr(self.view, "is_versioned", False):
            parameters.append(
                OpenApiParameter(
                    "ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=statuses,
                    description="The version of what can be changed, for `If-Match`.",
                )
            )  # fmt: skip
        parameters.append(
            OpenApiParameter(
                "Retry-After", OpenApiTypes.INT, OpenApiParameter.HEADER, response=[429, 503], description="In seconds."
            )
        )
        return parameters

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self._errors():
            serializer, description = ERRORS[status]
            described = OpenApiResponse(serializer, description)
            answer = self._get_response_for_code(described, str(status), None, direction)  # type: ignore[no-untyped-call]
            bodies.setdefault(str(status), answer)
        # The web server answers it before the request reaches us, so it has another shape.
        return bodies | {"414": {"description": "The address is too long; the web server itself says so."}}

    def _errors(self) -> list[int]:
        view: Any = self.view
        is_open = view.permission_classes == (AllowAny,)
        changes = self.method not in SAFE_METHODS
        has_body = self.method in {"POST", "PUT", "PATCH"} and self.get_request_serializer() is not None
        happens = {
            400: True,
            401: not is_open or getattr(view, "is_login", False),
            403: not is_open,
            404: getattr(view, "detail", False) or self._is_list_view() or "{" in self.path,
            409: changes and hasattr(type(view), "scope"),
            412: changes and getattr(view, "is_versioned", False) and getattr(view, "detail", False),
            413: has_body,
            415: has_body,
            429: True,
            503: True,
        }
        return [status for status, does in happens.items() if does]


def without_trailing_slash(endpoints: list[tuple[str, str, str, Any]], **_kwargs: Any) -> list[Any]:
    """Describe each address without a trailing slash; both forms work."""
    return [(path.rstrip("/"), regex, method, callback) for path, regex, method, callback in endpoints]


def close_requests(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Say in the schema that a body with an unknown field is refused."""
    for name, schema in result.get("components", {}).get("schemas", {}).items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema["additionalProperties"] = False
    return result
