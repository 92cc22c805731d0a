"""A course was held: everybody who attended gets the certification at once."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from certifications.courses import Attendance, Course, preview_course, record_course
from certifications.models import REASONABLE, CertificationType
from certifications.recording import Expiry
from mentors.accounts.scope import Permission, Scope
from mentors.desk.action_page import AskForm
from mentors.desk.badges import status_badge
from mentors.desk.bulk_preview import Ids, TooMany, chosen_ids, how_many, preview_then_do
from mentors.desk.scoped import actor_of, scope_of
from mentors.models import Chapter, Mentor
from mentors.validators import validate_one_line

TEMPLATE = "certifications/desk_course.html"
LISTED_AT_ONCE = 500


class CourseForm(AskForm):
    """What was held, when, and who was there."""

    type = forms.ModelChoiceField(
        label=gettext_lazy("Type"), queryset=CertificationType.objects.none(), empty_label=gettext_lazy("Choose")
    )
    issued_on = forms.DateField(label=gettext_lazy("Issued"), validators=REASONABLE, widget=forms.DateInput())
    expires_on = forms.DateField(
        label=gettext_lazy("Expires"),
        required=False,
        validators=REASONABLE,
        widget=forms.DateInput(),
        help_text=gettext_lazy("Empty: as the type says."),
    )
    number = forms.CharField(
        label=gettext_lazy("Number"),
        max_length=50,
        required=False,
        validators=[validate_one_line],
        help_text=gettext_lazy("The same for all, as of a course; it may be left empty."),
    )
    attendees = Ids(label=gettext_lazy("Attendees"), error_messages={"required": gettext_lazy("Choose at least one.")})

    def __init__(self, *args: Any, scope: Scope, organisation_ids: set[int] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = CertificationType.objects.filter(scope.types()).select_related("organisation")
        if organisation_ids is not None:
            types = types.filter(organisation__in=organisation_ids)
        self.fields["type"].queryset = types.order_by("name")  # type: ignore[attr-defined]


def ask_for_course(request: HttpRequest, *, chosen: QuerySet[Mentor], site: AdminSite) -> HttpResponse:
    """Begin with mentors chosen in the list; too many are refused by a message."""
    try:
        ids = chosen_ids(chosen)
    except TooMany as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(request.get_full_path())
    first = Mentor.objects.select_related("organisation").filter(pk__in=ids[:1]).first()
    initial = {
        "attendees": ",".join(map(str, ids)),
        "issued_on": first and first.organisation.local_date(timezone.now()),
    }
    form = CourseForm(initial=initial, scope=scope_of(request))
    context = _context(request, site) | {"explanation": how_many(len(ids))}
    return TemplateResponse(request, TEMPLATE, context | {"form": form, "preview": None})


def course_page(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """Choose a chapter, tick who attended, look at the preview, and record it."""
    scope = scope_of(request)
    if not scope.may(Permission.COORDINATE):
        raise PermissionDenied
    chapters = list(Chapter.objects.filter(scope.own_chapters()).select_related("organisation"))
    chapter = _chapter(request, chapters)
    attendees = _attendees(request, chapter)
    form = _form(request, scope, chapter, attendees)

    def preview(attendees: list[int], **fields: Any) -> dict[str, Any]:
        course = _course(**fields)
        attendance = preview_course(course, mentor_ids=_in_scope(scope, attendees), now=timezone.now())
        return {"rows": _rows(attendance), "attendance": attendance, "course": course}

    def act(attendees: list[int], **fields: Any) -> HttpResponse:
        course, ids = _course(**fields), _in_scope(scope, attendees)
        attendance = record_course(course, mentor_ids=ids, now=timezone.now(), actor=actor_of(request))
        _in_scope(scope_of(request, again=True), ids)  # as it is under the locks
        return _report(request, attendance, course=course, site=site)

    serving = Mentor.objects.filter(chapter=chapter).exclude(status=Mentor.Status.ENDED)
    people = list(serving.order_by("name", "id")[:LISTED_AT_ONCE]) if chapter else []
    context = _context(request, site) | {
        "chapters": chapters,
        "chapter": chapter,
        "people": [(mentor, status_badge(mentor), str(mentor.pk) in attendees) for mentor in people],
        "is_cut": len(people) == LISTED_AT_ONCE,
        "explanation": how_many(len(attendees)) if attendees and not chapter else "",
    }
    return preview_then_do(request, form, context=context, preview=preview, act=act, template=TEMPLATE)


def _attendees(request: HttpRequest, chapter: Chapter | None) -> list[str]:
    """Return the ids that were ticked, or that go along in the hidden field."""
    if chapter and not {"apply", "edit"} & request.POST.keys():
        return request.POST.getlist("attendee")
    return [text for text in request.POST.get("attendees", "").split(",") if text]


def _form(request: HttpRequest, scope: Scope, chapter: Chapter | None, attendees: list[str]) -> CourseForm:
    organisations = {chapter.organisation_id} if chapter else None
    if request.method != "POST":
        initial = {"issued_on": chapter and chapter.organisation.local_date(timezone.now())}
        return CourseForm(initial=initial, scope=scope, organisation_ids=organisations)
    data = {name: request.POST.get(name, "") for name in CourseForm.base_fields}
    return CourseForm(data | {"attendees": ",".join(attendees)}, scope=scope, organisation_ids=organisations)


def _chapter(request: HttpRequest, chapters: list[Chapter]) -> Chapter | None:
    """Return the chapter that was asked for; the only one need not be. A choice made in the list needs none."""
    asked = request.POST.get("chapter", request.GET.get("chapter", ""))
    by_id = {str(chapter.pk): chapter for chapter in chapters}
    only = chapters[0] if len(chapters) == 1 and request.method != "POST" else None
    return by_id.get(asked, only)


def _in_scope(scope: Scope, ids: list[int]) -> list[int]:
    """Return the ids if every one is a mentor whom they look after; otherwise it is as if some were not there."""
    seen = set(Mentor.objects.filter(scope.mentors(), pk__in=ids).order_by().values_list("pk", flat=True))
    if seen != set(ids):
        raise PermissionDenied
    return ids


def _course(*, type: CertificationType, issued_on: date, expires_on: date | None, number: str) -> Course:
    return Course(type=type, issued_on=issued_on, expires_on=expires_on or Expiry.BY_TYPE, number=number)


def _rows(attendance: Attendance) -> list[tuple[Mentor, str, str]]:
    """Return each mentor with what the course brings and what follows."""
    follows = {pk: _("is resumed at once") for pk in attendance.resumed}
    new = [(mentor, _("gets it"), follows.get(mentor.pk, "")) for mentor in attendance.recorded]
    same = [(mentor, _("has it already: unchanged"), "") for mentor in attendance.unchanged]
    return sorted(new + same, key=lambda row: (row[0].name, row[0].pk))


def _report(request: HttpRequest, attendance: Attendance, *, course: Course, site: AdminSite) -> HttpResponse:
    """Say of everybody what was done."""
    count = len(attendance.recorded)
    said = ngettext("Recorded for %(count)d mentor.", "Recorded for %(count)d mentors.", count) % {"count": count}
    messages.success(request, said)
    context = _context(request, site) | {"rows": _rows(attendance), "course": course, "attendance": attendance}
    return TemplateResponse(request, "certifications/desk_course_done.html", context)


def _context(request: HttpRequest, site: AdminSite) -> dict[str, Any]:
    return site.each_context(request) | {
        "title": _("A course was held"),
        "opts": Mentor._meta,
        "back": reverse("admin:mentors_mentor_changelist"),
        "here": reverse("admin:certifications_certification_course"),
    }
