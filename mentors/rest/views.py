"""The base of every view of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from rest_framework import exceptions, serializers
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet

from mentors.accounts.scope import Permission, Scope
from mentors.rest.versions import check_if_match, etag_of


class Router(SimpleRouter):
    """Answers with and without a trailing slash."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


class HasPermission(IsAuthenticated):
    """Whether the role may do it. For a single object this is checked once it is found; out of scope, it is 404."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        if view.detail or view.action is None:  # None: there is no such method, 405
            return True
        return view.scope.may(view.required_permission) or request.method in SAFE_METHODS

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        if view.required_permission is Permission.SEE:
            return True
        organisation_id, chapter_id = view.scope_ids(obj)
        return bool(view.scope.may(view.required_permission, organisation_id=organisation_id, chapter_id=chapter_id))


class ScopedViewSet(GenericViewSet[Any]):
    """A viewset whose queryset is what the user sees, with the permission that each action asks for.

    `permissions_by_action` gives it by action; without an entry, reading needs SEE and everything else COORDINATE.
    Unknown query parameters are refused by name: a misspelt filter must not show everything.
    """

    permission_classes = (HasPermission,)
    permissions_by_action: ClassVar[Mapping[str, Permission]] = {}
    query_params: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # by action, besides those of pages and filters
    filterset_class: ClassVar[type[FilterSet]]  # where DjangoFilterBackend is among the filter_backends
    is_list = False  # of an action that answers with pages

    @cached_property
    def scope(self) -> Scope:
        return Scope.of(self.request.user)

    @cached_property
    def now(self) -> datetime:
        """The clock, read once for the request."""
        return timezone.now()

    @property
    def required_permission(self) -> Permission:
        default = Permission.SEE if self.request.method in SAFE_METHODS else Permission.COORDINATE
        return self.permissions_by_action.get(self.action, default)

    def scope_ids(self, obj: Any) -> tuple[int, int | None]:
        """Return the organisation and the chapter, by id, to which it belongs."""
        raise NotImplementedError

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action is None:  # there is no such method, 405
            return
        known = set(self.query_params.get(self.action, ()))
        if self.is_list or self.action == "list":
            known |= {"page", "page_size"}
            backends: Any = self.filter_backends
            for backend in backends:
                if issubclass(backend, DjangoFilterBackend):
                    known |= self.filterset_class.base_filters.keys()
                else:
                    known |= {parameter["name"] for parameter in backend().get_schema_operation_parameters(self)}
        refuse_unknown_params(request, known)

    def read_body(self, serializer: type[serializers.Serializer[Any]], **context: Any) -> dict[str, Any]:
        """Return the checked body of the request."""
        body = serializer(
            data=self.request.data,
            partial=self.request.method == "PATCH",
            context={**self.get_serializer_context(), **context},
        )
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def lock(self, obj: Any) -> None:
        """Lock what has to be locked before `obj` is changed, in the order that everybody keeps.

        If somebody else has removed it meanwhile, the `get_object` that follows answers 404.
        """
        type(obj)._default_manager.select_for_update(of=("self",), no_key=True).filter(pk=obj.pk).first()

    @contextmanager
    def changing(self) -> Iterator[Any]:
        """Yield what the address names, locked and as it is now, if it is still what `If-Match` says.

        The user's roles are read again: one that ended while the lock was waited for reaches nothing any more.
        """
        with transaction.atomic():
            self.lock(self.get_object())
            self._read_scope_again()
            obj = self.get_object()
            check_if_match(self.request, obj)
            yield obj

    @contextmanager
    def making(self) -> Iterator[Callable[[Any], None]]:
        """Yield what is to be called with the row that was made: it stays only if it is theirs still."""

        def refuse_unless_theirs(made: Any) -> None:
            self._read_scope_again()
            self.check_object_permissions(self.request, type(made)._default_manager.get(pk=made.pk))

        with transaction.atomic():
            yield refuse_unless_theirs

    def _read_scope_again(self) -> None:
        self.__dict__["scope"] = Scope.of_now(self.request.user)


def refuse_unknown_params(request: Request, known: set[str]) -> None:
    """Raise ValidationError that names every query parameter which nothing reads, or which is empty."""
    errors = {
        name: [exceptions.ErrorDetail(_("There is no such parameter here."), code="unknown_parameter")]
        for name in sorted(request.query_params.keys() - known)
    }
    for name, values in request.query_params.lists():
        if name in known - {"search"} and "" in values:
            errors[name] = [exceptions.ErrorDetail(_("Leave it out, or give it a value."), code="blank")]
    if errors:
        raise exceptions.ValidationError(errors)


@csrf_exempt
def no_such_address(_request: HttpRequest, **_kwargs: str) -> JsonResponse:
    """Answer what no other view does, in the shape of every error."""
    error = {"code": "not_found", "detail": _("There is nothing at this address."), "attr": None}
    return JsonResponse({"type": "client_error", "errors": [error]}, status=404)


def versioned(response: Response, row: Any) -> Response:
    """Give the response the version of the row that it shows."""
    response["ETag"] = etag_of(row)
    return response
