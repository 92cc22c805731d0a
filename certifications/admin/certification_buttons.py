"""Renewing and revoking one certification at the desk."""

from __future__ import annotations

from datetime import date

from django import forms
from django.contrib import messages
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from certifications.models import REASONABLE, Certification
from certifications.recording import Expiry, renew_certification, revoke_certification
from mentors.desk.action_page import AskForm, ReasonForm
from mentors.desk.buttons import ButtonsAdmin
from mentors.desk.scoped import actor_of
from mentors.models import Mentor
from mentors.validators import validate_one_line


class RenewForm(AskForm):
    """The successor of a certification."""

    issued_on = forms.DateField(label=gettext_lazy("Issued"), validators=REASONABLE, widget=forms.DateInput())
    expires_on = forms.DateField(
        label=gettext_lazy("Expires"),
        required=False,
        validators=REASONABLE,
        widget=forms.DateInput(),
        help_text=gettext_lazy("Empty: as the type says."),
    )
    number = forms.CharField(
        label=gettext_lazy("Number"), max_length=50, required=False, validators=[validate_one_line]
    )


class CertificationButtons(ButtonsAdmin):
    """The addresses of the buttons of a row on the mentor's page."""

    def get_urls(self) -> list[URLPattern]:
        views = {"renew": self.renew, "revoke": self.revoke}
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(atomic(view)),
                name=f"certifications_certification_{name}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def renew(self, request: HttpRequest, object_id: str) -> HttpResponse:
        certification: Certification = self.find_for(request, object_id, self.changing)
        mentor = certification.mentor

        def act(issued_on: date, expires_on: date | None, number: str) -> str:
            renew_certification(
                certification,
                issued_on=issued_on,
                expires_on=expires_on or Expiry.BY_TYPE,
                number=number,
                now=timezone.now(),
                actor=actor_of(request),
            )
            resumed = Mentor.objects.active().filter(pk=mentor.pk).exists() and mentor.status == Mentor.Status.PAUSED
            said = _("The renewal of %(mentor)s is recorded.")
            if resumed:
                said = _("The renewal is recorded, and %(mentor)s is active again.")
            return said % {"mentor": mentor.name}

        today = mentor.organisation.local_date(timezone.now())
        form = RenewForm(request.POST or None, initial={"issued_on": today, "number": certification.number})
        title = _("Renew %(type)s of %(mentor)s") % {"type": certification.type.name, "mentor": mentor.name}
        explanation = _("The old one stays as history.")
        if mentor.pause_cause == Mentor.PauseCause.CERTIFICATION_EXPIRED:
            explanation = _(
                "The old one stays as history. If nothing else has lapsed, the mentor is resumed at once (rule 5)."
            )
        context = self.context_of(request, title=title, explanation=explanation)
        return self.ask(request, form, context=context, act=act, back=_page(mentor))

    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        certification: Certification = self.find_for(request, object_id, self.changing)
        mentor = certification.mentor

        def act(reason: str) -> str:
            revoke_certification(certification, reason=reason, actor=actor_of(request), now=timezone.now())
            paused = Mentor.objects.filter(pk=mentor.pk, status=Mentor.Status.PAUSED).exists()
            said = (
                _("Revoked, and %(mentor)s is paused.")
                if paused
                else _("Revoked. The status of %(mentor)s is as it was.")
            )
            return said % {"mentor": mentor.name}

        title = _("Revoke %(type)s of %(mentor)s") % {"type": certification.type.name, "mentor": mentor.name}
        explanation = _("The type is not required: the mentor is not paused by it. A revocation cannot be taken back.")
        if certification.type.required:
            explanation = _(
                "If no other certification covers the type today, the mentor is paused at once, leaves the public "
                "page, and only a person resumes (rule 9). A revocation cannot be taken back."
            )
        context = self.context_of(request, title=title, explanation=explanation)
        return self.ask(request, ReasonForm(request.POST or None), context=context, act=act, back=_page(mentor))


def say_if_resumed(request: HttpRequest, mentor_id: int, *, was: str) -> None:
    """Say that what was saved has resumed the mentor, whose status was `was`."""
    mentor = Mentor.objects.get(pk=mentor_id)
    if was == Mentor.Status.PAUSED and mentor.status == Mentor.Status.ACTIVE:
        messages.success(request, _("%(mentor)s is active again.") % {"mentor": mentor.name})


def _page(mentor: Mentor) -> str:
    return reverse("admin:mentors_mentor_change", args=[mentor.pk])
