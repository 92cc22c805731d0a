"""The base of every page of the desk: `mentors/accounts/scope.py` decides who sees what, and who may do what.

Lists, pages, filters, the choices of a form, autocomplete, history, exports and actions all go through
`ScopedAdmin.get_queryset` and the permissions of its class.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from django.contrib.admin import RelatedFieldListFilter
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import ForeignKey, Model, Q, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from mentors.accounts.scope import Permission, Scope
from mentors.conflicts import ChangedMeanwhile
from mentors.desk.lists import ListAdmin
from mentors.desk.merging import MergingForm
from mentors.models import User


def scope_of(request: HttpRequest, *, again: bool = False) -> Scope:
    """Return the scope of the user, read once a request, and `again` after a wait for a lock."""
    known: Scope | None = None if again else getattr(request, "scope", None)
    if known is None:
        known = Scope.of_now(request.user) if again else Scope.of(request.user)
        request.scope = known  # type: ignore[attr-defined]
    return known


@contextmanager
def acting(request: HttpRequest) -> Iterator[None]:
    """Keep what is done in the block only if the user reaches at its end what they reached before (rule 8).

    Whatever was waited for in it, a role that ended meanwhile has done nothing. Raises PermissionDenied.
    """
    before = scope_of(request)
    with transaction.atomic():
        yield
        if not before.is_within(scope_of(request, again=True)):
            raise PermissionDenied


def actor_of(request: HttpRequest) -> User:
    """Return the user; every page of the desk needs a login."""
    return cast("User", request.user)


class ScopedFilter(RelatedFieldListFilter):
    """A filter by a foreign key that offers only what the user sees."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        related = model_admin.admin_site._registry.get(field.remote_field.model)
        rows = related.get_queryset(request) if related else field.remote_field.model._default_manager.none()
        return [(row.pk, str(row)) for row in rows]


class ScopedAdmin(ListAdmin):
    """A page of the desk for the rows of one model that are in the user's scope.

    Each kind of action needs a permission. Only superusers have OPERATE.
    """

    viewing: ClassVar[Permission] = Permission.COORDINATE
    adding: ClassVar[Permission] = Permission.OPERATE
    changing: ClassVar[Permission] = Permission.OPERATE
    deleting: ClassVar[Permission] = Permission.OPERATE
    show_full_result_count = False
    list_filter_submit = False
    list_per_page = 50
    warn_unsaved_form = True

    def seen(self, scope: Scope) -> Q:
        """Return the condition for the rows that are in scope."""
        raise NotImplementedError

    def scope_ids(self, obj: Any) -> tuple[int | None, int | None]:
        """Return the organisation and the chapter, by id, to which a row belongs."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.filter(self.seen(scope_of(request)))

    def lock(self, obj: Any) -> None:
        """Lock what has to be locked before `obj` is changed, in the order that everybody keeps."""
        type(obj)._default_manager.select_for_update(of=("self",), no_key=True).filter(pk=obj.pk).first()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row if it is in scope; where it is about to be changed, locked, and as both are under the lock.

        Raises ChangedMeanwhile if one of them has gone while the lock was waited for.
        """
        obj = super().get_object(request, object_id, from_field)
        if obj is None or request.method != "POST" or not connection.in_atomic_block:
            return obj
        self.lock(obj)
        scope_of(request, again=True)
        obj = super().get_object(request, object_id, from_field)
        if obj is None:
            raise ChangedMeanwhile(id=object_id)
        return obj

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (MergingForm, form), {}) if change else form

    def may(self, request: HttpRequest, permission: Permission, obj: Any = None) -> bool:
        if obj is None or permission is Permission.OPERATE:  # which nobody has in one place only
            return scope_of(request).may(permission)
        organisation_id, chapter_id = self.scope_ids(obj)
        return scope_of(request).may(permission, organisation_id=organisation_id, chapter_id=chapter_id)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may(request, self.viewing)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say whether they may look at rows; which ones, `get_queryset` has decided before."""
        return self.may(request, self.viewing)

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        return self.may(request, self.adding)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, self.changing, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, self.deleting, obj)

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Offer, and take, only what the user sees: an id that was guessed is no valid choice."""
        related = self.admin_site._registry.get(db_field.remote_field.model)
        if isinstance(related, ScopedAdmin):
            kwargs["queryset"] = related.get_queryset(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save it; what somebody has removed meanwhile is not made again, as it would be otherwise."""
        obj.save(force_update=change)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Remove what was ticked: locked, and only if all of it is theirs to remove under the locks too."""
        chosen = list(queryset.order_by("pk").values_list("pk", flat=True))
        with transaction.atomic():
            for obj in self.get_queryset(request).filter(pk__in=chosen).order_by("pk"):
                self.lock(obj)
            scope_of(request, again=True)
            found = list(self.get_queryset(request).filter(pk__in=chosen).order_by("pk"))
            if len(found) < len(chosen) or not all(self.has_delete_permission(request, obj) for obj in found):
                raise PermissionDenied
            for obj in found:
                self.delete_model(request, obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save what belongs to it; what is added must be in scope still, after any wait for a lock."""
        super().save_related(request, form, formsets, change)
        scope_of(request, again=True)
        if not change and not self.get_queryset(request).filter(pk=form.instance.pk).exists():
            raise PermissionDenied

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Scope the filters that are given by the name of a foreign key."""
        keys = [field.name for field in self.opts.get_fields() if field.is_relation]
        return [(item, ScopedFilter) if item in keys else item for item in super().get_list_filter(request)]


class ReadOnlyAdmin(ScopedAdmin):
    """History: to be looked at, by a superuser too."""

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class OperationsAdmin(ReadOnlyAdmin):
    """What only operations look at."""

    viewing = Permission.OPERATE

    def seen(self, scope: Scope) -> Q:
        return Q()


class ReadOnlyInline(TabularInline):
    """Rows below the one that they belong to, whose page has decided who sees it."""

    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
