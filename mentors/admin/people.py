"""Mentors and their status changes. Nobody edits a status: it follows from what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline

from certifications.admin.courses import ask_for_course
from mentors.accounts.scope import Permission, Scope
from mentors.admin.mentor_buttons import MentorButtons
from mentors.admin.mentor_list import ExpiresWithin, MentorColumns
from mentors.admin.mentor_page import page_of, timeline_page
from mentors.desk.exporting import ExportMixin
from mentors.desk.long_lists import LongListAdmin
from mentors.desk.merging import MergingModelForm
from mentors.desk.refusing import RefusingAdmin, adopt
from mentors.desk.scoped import ReadOnlyAdmin, ScopedFilter
from mentors.enrolment import RefTaken, change_mentor, enrol_mentor
from mentors.models import LANGUAGES, Mentor, StatusChange
from notifications.models import Preference


class MentorPreferenceInline(StackedInline):
    """By which channel the mentor is told; whoever sees the mentor's page may say so."""

    model = Preference
    form = MergingModelForm
    fields = ("channel", "address")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class MentorForm(forms.ModelForm[Mentor]):
    """What is written about a mentor; the organisation follows from the chapter."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None and "language" in self.fields:
            language = self.fields["language"]
            language.required, language.initial = False, ""
            language.choices = [("", _("as the organisation")), *LANGUAGES]

    def clean(self) -> dict[str, Any]:
        """Say beside the field that a ref is taken, but not by whom: that mentor may be in another chapter."""
        values = super().clean() or {}
        if (chapter := values.get("chapter")) and (ref := values.get("ref")):
            same = Mentor.objects.of(chapter.organisation).filter(ref=ref).exclude(pk=self.instance.pk)
            if same.exists():
                self.add_error("ref", str(RefTaken()))
        return values


@admin.register(Mentor)
class MentorAdmin(ExportMixin, MentorButtons, MentorColumns, RefusingAdmin, LongListAdmin):  # type: ignore[misc]  # as unfold annotates
    adding = changing = Permission.COORDINATE
    form = MentorForm
    # Who a mentor is, in the words of a roster, and how it stands.
    file_columns: ClassVar[Mapping[str, str]] = {
        "chapter": "chapter__name",
        "mentor_ref": "ref",
        "name": "name",
        "email": "email",
        "phone": "phone",
        "language": "language",
        "status": "status",
        "pause_cause": "pause_cause",
        "pause_reason": "pause_reason",
        "lapses_on": "lapses_on",
        "listed": "listed",
    }
    fields = ("chapter", "ref", "name", "email", "phone", "language", "listed", "searchable")
    related = ("chapter", "organisation")
    list_display = ("name", "ref", "chapter", "status_badge", "lapses_next", "gaps")
    list_filter = (
        ("organisation", ScopedFilter),
        ("chapter", ScopedFilter),
        "status",
        "pause_cause",
        ExpiresWithin,
    )
    sortable_by = ("name", "ref")
    search_fields = ("name", "ref")
    search_help_text = _("The beginnings of words of the name, or of the ref.")
    inlines = (MentorPreferenceInline,)
    autocomplete_fields = ("chapter",)
    actions = ("record_course",)
    change_form_outer_before_template = "desk/mentor_top.html"  # type: ignore[assignment]
    change_form_outer_after_template = "desk/mentor_timeline.html"  # type: ignore[assignment]

    def seen(self, scope: Scope) -> Q:
        return scope.mentors()

    def scope_ids(self, obj: Mentor) -> tuple[int | None, int | None]:
        return obj.organisation_id, obj.chapter_id

    def get_inlines(self, request: HttpRequest, obj: Mentor | None) -> tuple[type[StackedInline], ...]:
        return self.inlines if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        written = {field: form.cleaned_data[field] for field in form.changed_data if field in form.cleaned_data}
        if not change:
            adopt(obj, enrol_mentor(**form.cleaned_data))
        elif written:
            change_mentor(obj, **written)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:  # type: ignore[override]
        mentor = options.get("obj")
        if mentor is not None:
            context |= page_of(mentor, buttons=self.buttons_of(request, mentor))
        answer: HttpResponse = super().render_change_form(request, context, **options)
        return answer

    def timeline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show everything that happened to a mentor, page by page."""
        return timeline_page(request, self.find(request, object_id), site=self.admin_site)

    @admin.action(description=_("Record a course for the chosen"))
    def record_course(self, request: HttpRequest, queryset: QuerySet[Mentor]) -> HttpResponse:
        return ask_for_course(request, chosen=queryset, site=self.admin_site)


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "mentor", "from_status", "to_status", "cause", "reason", "actor")
    list_select_related = ("mentor", "actor")
    list_filter = ("to_status", "cause")
    search_fields = ("mentor__name", "mentor__ref")

    def seen(self, scope: Scope) -> Q:
        return scope.mentors("mentor")
