"""Pausing, resuming and ending a mentor at the desk, each with what it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django import forms
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from certifications.coverage import lapsed_types
from certifications.mentor_status import end_mentor, lock_mentor, pause_mentor, reactivate_mentor
from certifications.models import REASONABLE
from mentors.accounts.scope import Permission
from mentors.desk.action_page import AskForm, ReasonForm
from mentors.desk.buttons import ButtonsAdmin
from mentors.desk.scoped import actor_of
from mentors.models import Mentor

Status = Mentor.Status


@dataclass(frozen=True)
class Button:
    """A button of the mentor's page."""

    title: str
    href: str
    icon: str
    variant: str = "default"


class ResumeForm(AskForm):
    """Why a mentor is resumed."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


class ExemptForm(ReasonForm):
    """Why a mentor is resumed although something has lapsed, and until when."""

    exempt_until = forms.DateField(
        label=gettext_lazy("Exempt until"),
        validators=REASONABLE,
        widget=forms.DateInput(),
        help_text=gettext_lazy("The last day on which the mentor goes on without it."),
    )
    field_order = ("exempt_until", "reason")


class MentorButtons(ButtonsAdmin):
    """The addresses of the buttons; each shows itself only where the status and the role allow it."""

    def get_urls(self) -> list[URLPattern]:
        views = {"pause": self.pause, "resume": self.resume, "end": self.end, "timeline": self.timeline}
        own = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(atomic(view)), name=f"mentors_mentor_{name}")
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def lock(self, obj: Mentor) -> None:
        lock_mentor(obj)

    def timeline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        raise NotImplementedError

    def buttons_of(self, request: HttpRequest, mentor: Mentor) -> list[Button]:
        if not self.may(request, self.changing, mentor):
            return []
        pause = _button(mentor, "pause", _("Pause"), icon="pause_circle")
        resume = _button(mentor, "resume", _("Resume"), icon="play_circle", variant="primary")
        end = _button(mentor, "end", _("End service"), icon="cancel")
        may_pause = [pause] if mentor.can_be_paused else []
        return {
            Status.ACTIVE: [*may_pause, end],
            Status.PAUSED: [resume, *may_pause, end],
            Status.ENDED: [],
        }[Status(mentor.status)]

    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        mentor: Mentor = self.find_for(request, object_id, self.changing)

        def act(reason: str) -> str:
            pause_mentor(mentor, reason=reason, actor=actor_of(request), now=timezone.now())
            return _("%(mentor)s is paused.") % {"mentor": mentor.name}

        said = _("The mentor leaves the public page at once, and the coordinators are told. Only a person resumes.")
        context = self.context_of(request, title=_("Pause %(mentor)s") % {"mentor": mentor.name}, explanation=said)
        return self.ask(request, ReasonForm(request.POST or None), context=context, act=act, back=_page(mentor))

    def end(self, request: HttpRequest, object_id: str) -> HttpResponse:
        mentor: Mentor = self.find_for(request, object_id, self.changing)

        def act(reason: str) -> str:
            end_mentor(mentor, reason=reason, actor=actor_of(request), now=timezone.now())
            return _("%(mentor)s has ended the service.") % {"mentor": mentor.name}

        said = _(
            "The night reminds and pauses no more, and the mentor leaves the public page. It cannot be undone here."
        )
        context = self.context_of(
            request, title=_("End the service of %(mentor)s") % {"mentor": mentor.name}, explanation=said
        )
        return self.ask(request, ReasonForm(request.POST or None), context=context, act=act, back=_page(mentor))

    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a reason; where a type has lapsed, for an exemption, which only the organisation grants (rule 10)."""
        mentor: Mentor = self.find_for(request, object_id, self.changing)
        lapsed = lapsed_types(mentor=mentor, on=mentor.organisation.local_date(timezone.now()))
        may_exempt = self.may(request, Permission.LEAD, mentor)
        form = ExemptForm if lapsed and may_exempt else ResumeForm

        def act(reason: str, exempt_until: date | None = None) -> str:
            now = timezone.now()
            reactivate_mentor(mentor, reason=reason, exempt_until=exempt_until, actor=actor_of(request), now=now)
            return _("%(mentor)s is active again.") % {"mentor": mentor.name}

        said = _("Nothing has lapsed: the mentor is on the public page again at once, and the coordinators are told.")
        if lapsed and may_exempt:
            said = _(
                "Lapsed: %(types)s. Record the renewal instead, if there is one. An exemption lets the mentor go on "
                "without it until a day (rule 10)."
            )
        elif lapsed:
            said = _(
                "Lapsed: %(types)s. Record the renewal, and the mentor is resumed by itself. Only an organisation-wide "
                "coordinator may exempt."
            )
        said %= {"types": ", ".join(type.name for type in lapsed)}
        context = self.context_of(request, title=_("Resume %(mentor)s") % {"mentor": mentor.name}, explanation=said)
        return self.ask(request, form(request.POST or None), context=context, act=act, back=_page(mentor))


def _button(mentor: Mentor, name: str, title: str, **look: str) -> Button:
    return Button(title, reverse(f"admin:mentors_mentor_{name}", args=[mentor.pk]), **look)


def _page(mentor: Mentor) -> str:
    return reverse("admin:mentors_mentor_change", args=[mentor.pk])
