"""Extending many certifications: what is asked for, and the preview."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from certifications.extensions import Until, extend_certifications, plan_extension
from certifications.models import REASONABLE, Certification
from mentors.desk.action_page import ReasonForm
from mentors.desk.bulk_preview import Ids, TooMany, chosen_ids, how_many, preview_then_do
from mentors.desk.scoped import ScopedAdmin, actor_of, scope_of

TEMPLATE = "certifications/desk_extend.html"


class ExtendForm(ReasonForm):
    """Until when, and why."""

    until_on = forms.DateField(
        label=gettext_lazy("New expiry"),
        required=False,
        validators=REASONABLE,
        widget=forms.DateInput(),
        help_text=gettext_lazy("The same day for all; or, instead, how much longer each is valid:"),
    )
    months = forms.IntegerField(label=gettext_lazy("Months"), required=False, min_value=0, max_value=240)
    days = forms.IntegerField(label=gettext_lazy("Days"), required=False, min_value=0, max_value=3660)
    certifications = Ids(
        label=gettext_lazy("Certifications"), error_messages={"required": gettext_lazy("Choose at least one.")}
    )
    field_order = ("until_on", "months", "days", "reason", "certifications")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        by_so_much = bool(values.get("months") or values.get("days"))
        if not self.errors and by_so_much == bool(values.get("until_on")):
            raise ValidationError(_("Write either the new expiry, or by how many months or days."))
        return values


def ask_for_extension(request: HttpRequest, *, chosen: QuerySet[Certification], admin: ScopedAdmin) -> HttpResponse:
    """Begin with certifications chosen in the list; too many are refused by a message."""
    try:
        ids = chosen_ids(chosen)
    except TooMany as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(request.get_full_path())
    form = ExtendForm(initial={"certifications": ",".join(map(str, ids))})
    context = _context(request, admin) | {"explanation": how_many(len(ids)), "form": form, "preview": None}
    return TemplateResponse(request, TEMPLATE, context)


def extend_page(request: HttpRequest, *, admin: ScopedAdmin) -> HttpResponse:
    """Show what would follow from the extension, and do it."""
    if not admin.has_change_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseRedirect(reverse("admin:certifications_certification_changelist"))

    def preview(certifications: list[int], reason: str, **until: Any) -> dict[str, Any]:
        refuse_unless_theirs(request, certifications, admin=admin)
        plan = plan_extension(certifications, until=_until(**until), now=timezone.now())
        return {"plan": plan, "reason": reason}

    def act(certifications: list[int], reason: str, **until: Any) -> HttpResponse:
        refuse_unless_theirs(request, certifications, admin=admin)
        extension, plan = extend_certifications(
            certifications,
            until=_until(**until),
            reason=reason,
            by=actor_of(request),
            now=timezone.now(),
            seen=request.POST.get("seen", ""),
        )
        scope_of(request, again=True)  # as it is under the locks
        refuse_unless_theirs(request, certifications, admin=admin)
        count = len(plan.extended)
        said = ngettext("%(count)d certification is extended.", "%(count)d certifications are extended.", count)
        messages.success(request, said % {"count": count})
        if count := len(plan.resumed):
            said = ngettext("%(count)d mentor is resumed.", "%(count)d mentors are resumed.", count)
            messages.success(request, said % {"count": count})
        return HttpResponseRedirect(reverse("admin:certifications_extension_change", args=[extension.pk]))

    form, context = ExtendForm(request.POST), _context(request, admin)
    return preview_then_do(request, form, context=context, preview=preview, act=act, template=TEMPLATE)


def refuse_unless_theirs(request: HttpRequest, certification_ids: list[int], *, admin: ScopedAdmin) -> None:
    """Refuse if one of them is not theirs to change, as if it were not there."""
    mine = admin.get_queryset(request).filter(pk__in=certification_ids)
    places = mine.order_by().values_list("mentor__organisation", "mentor__chapter").annotate(count=Count("pk"))
    scope = scope_of(request)
    allowed = sum(
        count
        for organisation_id, chapter_id, count in places
        if scope.may(admin.changing, organisation_id=organisation_id, chapter_id=chapter_id)
    )
    if allowed != len(certification_ids):
        raise PermissionDenied


def _until(*, until_on: date | None, months: int | None, days: int | None) -> Until:
    return Until(on=until_on, months=months or 0, days=days or 0)


def _context(request: HttpRequest, admin: ScopedAdmin) -> dict[str, Any]:
    return admin.admin_site.each_context(request) | {
        "title": _("Extend certifications"),
        "opts": Certification._meta,
        "back": reverse("admin:certifications_certification_changelist"),
        "here": reverse("admin:certifications_certification_extend"),
        "button": _("Extend them"),
    }
