"""Types, certifications and exemptions. What follows for the mentor follows from what is saved here too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from certifications.admin.badges import state_badge
from certifications.admin.certification_buttons import CertificationButtons, say_if_resumed
from certifications.admin.courses import course_page
from certifications.admin.extending import ask_for_extension, extend_page
from certifications.admin.filters import ExpiryFilter, StateFilter
from certifications.mentor_status import lock_mentor
from certifications.models import VALID_THROUGH, Certification, CertificationType, Exemption
from certifications.recording import (
    Expiry,
    change_certification,
    grant_exemption,
    record_certification,
    remove_certification,
)
from certifications.states import calendar_of, state_of
from mentors.accounts.scope import Permission, Scope
from mentors.desk.exporting import ExportMixin
from mentors.desk.long_lists import LongListAdmin
from mentors.desk.refusing import RefusingAdmin, adopt
from mentors.desk.scoped import ScopedAdmin, ScopedFilter, actor_of
from mentors.models import Mentor, Organisation


@admin.register(CertificationType)
class CertificationTypeAdmin(ScopedAdmin):
    adding = changing = Permission.LEAD
    list_display = ("name", "code", "organisation", "required", "validity_months", "grace_days")
    list_select_related = ("organisation",)
    list_filter = ("organisation", "required")
    search_fields = ("name", "code")

    def seen(self, scope: Scope) -> Q:
        return scope.types()

    def scope_ids(self, obj: CertificationType) -> tuple[int | None, int | None]:
        return obj.organisation_id, None

    def lock(self, obj: CertificationType) -> None:
        """Lock the organisation first: whoever changes a type has its row alone (docs/rules.md, lock order)."""
        Organisation.objects.select_for_update(no_key=True).get(pk=obj.organisation_id)
        super().lock(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: CertificationType | None = None) -> tuple[str, ...]:
        """A type stays with its organisation, as the certifications of it do."""
        return ("organisation",) if obj else ()


class CertificationForm(forms.ModelForm[Certification]):
    """A certification as it is recorded, or changed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None and "expires_on" in self.fields:
            self.fields["expires_on"].help_text = gettext_lazy("Empty: as the type says.")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        issued_on, expires_on = values.get("issued_on"), values.get("expires_on")
        if issued_on and expires_on and expires_on < issued_on:
            self.add_error("expires_on", _("It would expire before it is issued."))
        return values


class ConcernsAMentorAdmin(RefusingAdmin):
    """Rows about one mentor, seen by whoever sees the mentor."""

    autocomplete_fields = ("mentor", "type")

    def seen(self, scope: Scope) -> Q:
        return scope.mentors("mentor")

    def scope_ids(self, obj: Any) -> tuple[int | None, int | None]:
        return obj.mentor.organisation_id, obj.mentor.chapter_id


@admin.register(Certification)
class CertificationAdmin(ExportMixin, CertificationButtons, ConcernsAMentorAdmin, LongListAdmin):  # type: ignore[misc]  # as unfold annotates
    # The columns of a roster, so that the file can be imported as it is, and one that an import does not use.
    file_columns: ClassVar[Mapping[str, str]] = {
        "chapter": "mentor__chapter__name",
        "mentor_ref": "mentor__ref",
        "name": "mentor__name",
        "email": "mentor__email",
        "phone": "mentor__phone",
        "language": "mentor__language",
        "certification": "type__code",
        "number": "number",
        "issued_on": "issued_on",
        "expires_on": "expires_on",
        "revoked_at": "revoked_at",
    }
    adding = changing = Permission.COORDINATE
    deleting = Permission.LEAD
    form = CertificationForm
    fields = ("mentor", "type", "number", "issued_on", "expires_on")
    related = ("mentor__chapter", "mentor__organisation", "type__organisation")
    list_display = ("mentor", "type", "number", "issued_on", "expires_on", "state")
    list_filter = (("type", ScopedFilter), StateFilter, ExpiryFilter, ("mentor__chapter", ScopedFilter))
    linked_lookups = ("expires_on__gte", "expires_on__lte", "revoked_at__isnull", "type__in")  # a week of the home page
    ordering = (VALID_THROUGH, "id")
    sortable_by = ()
    search_fields = ("number",)
    search_help_text = gettext_lazy("The beginnings of words of the mentor's name, or of the ref or the number.")
    actions = ("extend",)
    change_form_outer_before_template = "certifications/desk_certification_top.html"  # type: ignore[assignment]

    def seen(self, scope: Scope) -> Q:
        # A type is of the mentor's organisation, and is what the list is counted by (index certification_of_type).
        of_led = Q(type__in=CertificationType.objects.filter(organisation__in=scope.led))
        return scope.mentors("mentor", of_led=of_led)

    def lock(self, obj: Certification) -> None:
        lock_mentor(obj.mentor)

    def get_urls(self) -> list[URLPattern]:
        course = path("course/", self.admin_site.admin_view(self.course), name="certifications_certification_course")
        extend = path(
            "extend/", self.admin_site.admin_view(self.extend_page), name="certifications_certification_extend"
        )
        return [course, extend, *super().get_urls()]

    def annotate_rows(self, request: HttpRequest, rows: Sequence[Certification]) -> None:
        now = timezone.now()
        calendars = {type: calendar_of(type, now=now) for type in {row.type for row in rows}}
        for row in rows:
            row.state = state_of(  # type: ignore[attr-defined]
                issued_on=row.issued_on,
                expires_on=row.expires_on,
                revoked_at=row.revoked_at,
                calendar=calendars[row.type],
            )

    @admin.display(description=gettext_lazy("state"))
    def state(self, certification: Certification) -> str:
        return state_badge(certification.state)  # type: ignore[attr-defined]

    def get_readonly_fields(self, request: HttpRequest, obj: Certification | None = None) -> tuple[str, ...]:
        return ("mentor", "type") if obj else ()

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("mentor", "type")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)  # one at a time: what is removed was recorded by mistake
        return actions

    def has_change_permission(self, request: HttpRequest, obj: Certification | None = None) -> bool:  # type: ignore[override]
        """What is revoked stays as it is."""
        return super().has_change_permission(request, obj) and not (obj and obj.revoked_at)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        now, actor = timezone.now(), actor_of(request)
        if change:
            was = Mentor.objects.get(pk=obj.mentor_id).status
            written = {field: form.cleaned_data[field] for field in form.changed_data}
            change_certification(obj, now=now, actor=actor, **written)
        else:
            fields = form.cleaned_data
            was = fields["mentor"].status
            saved = record_certification(
                **(fields | {"expires_on": fields["expires_on"] or Expiry.BY_TYPE}), now=now, actor=actor
            )
            adopt(obj, saved)
        say_if_resumed(request, obj.mentor_id, was=was)

    def delete_model(self, request: HttpRequest, obj: Certification) -> None:
        remove_certification(obj)

    def course(self, request: HttpRequest) -> HttpResponse:
        return course_page(request, site=self.admin_site)

    def extend_page(self, request: HttpRequest) -> HttpResponse:
        return extend_page(request, admin=self)

    @admin.action(description=gettext_lazy("Extend the chosen…"))
    def extend(self, request: HttpRequest, queryset: QuerySet[Certification]) -> HttpResponse:
        return ask_for_extension(request, chosen=queryset, admin=self)


class ExemptionForm(forms.ModelForm[Exemption]):
    """A dated promise, and why."""

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if (values.get("from_on") and values.get("until_on")) and values["until_on"] < values["from_on"]:
            self.add_error("until_on", _("It would end before it begins."))
        mentor, type = values.get("mentor"), values.get("type")
        if mentor and type and mentor.organisation_id != type.organisation_id:
            self.add_error("type", _("The type belongs to another organisation."))
        return values


@admin.register(Exemption)
class ExemptionAdmin(ConcernsAMentorAdmin):
    adding = Permission.LEAD
    form = ExemptionForm
    fields = ("mentor", "type", "from_on", "until_on", "reason")
    list_display = ("mentor", "type", "from_on", "until_on", "approved_by")
    list_select_related = ("mentor", "type", "approved_by")
    search_fields = ("mentor__name", "mentor__ref")

    def has_change_permission(self, request: HttpRequest, obj: Exemption | None = None) -> bool:  # type: ignore[override]
        """A promise that was given is not written anew."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Exemption | None = None) -> bool:  # type: ignore[override]
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Grant it; which mentors they lead decides, not only which they see."""
        was = form.cleaned_data["mentor"].status
        if not self.may(request, Permission.LEAD, obj):
            raise PermissionDenied
        adopt(obj, grant_exemption(**form.cleaned_data, approved_by=actor_of(request), now=timezone.now()))
        say_if_resumed(request, obj.mentor_id, was=was)
