"""The buttons by which a coordinator is invited, and invited again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action

from mentors.accounts.scope import Permission, Scope
from mentors.desk.action_page import AskForm
from mentors.desk.buttons import ButtonsAdmin
from mentors.desk.scoped import actor_of, scope_of
from mentors.models import Chapter, CoordinatorRole, Invitation, Organisation
from mentors.validators import validate_one_line
from notifications.invitations import invite, invite_again

LIST = "admin:mentors_invitation_changelist"

F = TypeVar("F", bound=Callable[..., Any])


def button(**options: Any) -> Callable[[F], F]:
    """Make a method a button of unfold's, whose own annotations know no lazy texts."""
    decorate: Callable[[F], F] = action(**options)  # type: ignore[assignment]
    return decorate


class InviteForm(AskForm):
    """Whom, to what; of the places, those that the inviter leads."""

    organisation = forms.ModelChoiceField(Organisation.objects.none(), label=gettext_lazy("Organisation"))
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=150, validators=[validate_one_line], help_text=gettext_lazy("In full.")
    )
    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=150)
    duty = forms.ChoiceField(label=gettext_lazy("Duty"), choices=CoordinatorRole.Duty.choices)
    chapter = forms.ModelChoiceField(
        Chapter.objects.none(),
        label=gettext_lazy("Chapter"),
        required=False,
        empty_label=gettext_lazy("the whole organisation"),
    )

    def __init__(self, *args: Any, scope: Scope, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        led = list(Organisation.objects.filter(scope.organisations_led()))
        organisation = cast("forms.ModelChoiceField[Organisation]", self.fields["organisation"])
        organisation.queryset = Organisation.objects.filter(pk__in=[one.pk for one in led])
        if len(led) == 1:
            organisation.initial, organisation.widget = led[0].pk, forms.HiddenInput()
        chapter = cast("forms.ModelChoiceField[Chapter]", self.fields["chapter"])
        chapter.queryset = Chapter.objects.filter(scope.organisations_led("organisation")).select_related(
            "organisation"
        )
        if len(led) > 1:
            chapter.label_from_instance = lambda obj: f"{obj.organisation}: {obj}"  # type: ignore[method-assign]


class InviteButton(ButtonsAdmin):
    """What the pages of coordinators and of invitations offer whoever leads an organisation."""

    actions_list: Any = ("invite",)

    def has_invite_permission(self, request: HttpRequest, _object_id: object = None) -> bool:
        return self.may(request, Permission.LEAD)

    @button(description=gettext_lazy("Invite a coordinator"), permissions=["invite"], icon="person_add")
    def invite(self, request: HttpRequest) -> HttpResponse:
        """Ask whom to invite, and do it."""

        def act(**fields: Any) -> str:
            invited = invite(**fields, actor=actor_of(request), now=timezone.now())
            who = {"email": fields["email"]}
            return _("%(email)s is invited.") % who if invited.is_new else _("%(email)s has this role already.") % who

        context = self.context_of(
            request,
            title=_("Invite a coordinator"),
            explanation=_("They get an e-mail with a link, choose a password, and set up an app for codes."),
            button=_("Invite"),
        )
        form = InviteForm(request.POST or None, scope=scope_of(request))
        return self.ask(request, form, context=context, act=act, back=reverse(LIST))


class InvitationButtons(InviteButton):
    """What the page of invitations offers besides."""

    actions_row: Any = ("send_again",)
    actions_detail: Any = ("send_again",)

    @button(description=gettext_lazy("Send the invitation again"), permissions=["invite"], icon="forward_to_inbox")
    def send_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether to invite once more who has not come yet, and do it."""
        invitation: Invitation = self.find_for(request, object_id, Permission.LEAD)

        def act() -> str:
            invite_again(invitation, actor=actor_of(request), now=timezone.now())
            return _("The invitation is sent again.")

        explanation = _("%(email)s gets a new link. The link from before is void.") % {"email": invitation.user.email}
        context = self.context_of(request, title=_("Send the invitation again"), explanation=explanation)
        form = AskForm(request.POST if request.method == "POST" else None)
        return self.ask(request, form, context=context, act=act, back=reverse(LIST))
