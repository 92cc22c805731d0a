"""A new password by a link in an e-mail: for who has forgotten theirs, and for who is invited and has none yet."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse, reverse_lazy
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from mentors.accounts.invitations import InvitationTokens, accept_invitation, find_invitation
from mentors.accounts.known_devices import know_device
from mentors.accounts.passwords import PasswordLinks, PasswordOnly
from mentors.accounts.security_trail import Kind, record_event
from mentors.conflicts import ChangedMeanwhile
from mentors.desk.action_page import AskForm
from mentors.desk.sign_in import ThrottledPage, continue_login
from mentors.models import Invitation, User
from mentors.rest.throttles import FailOpen
from notifications.passwords import mail_password_link


class AddressForm(AskForm, PasswordResetForm):
    """To which address the link is sent."""


class NewPasswordForm(PasswordOnly, AskForm, SetPasswordForm):  # type: ignore[type-arg]  # it takes none at run time
    """A password, twice."""


class PerMailbox(FailOpen):
    """A mailbox to which links are sent, whoever asks: none is flooded from here.

    Its owner is not locked out by who asks in her place: each of the links that were sent is good.
    """

    scope = "mailbox"
    rate = "12/hour"

    def get_cache_key(self, request: Request, view: Any) -> str:
        ident = salted_hmac("nattevakt.mailbox", self.name(request), algorithm="sha256").hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": ident}

    def name(self, request: Request) -> str:
        mailbox: str = request.POST.get("email", "").strip().lower()
        return mailbox


class PerMailboxAndAddress(PerMailbox):
    """The same, for one who asks."""

    scope = "mailbox_and_address"
    rate = "3/hour"

    def name(self, request: Request) -> str:
        return f"{super().name(request)} {self.get_ident(request)}"


class UnauthenticatedPage:
    """A page of the desk that needs no login."""

    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        return admin.site.each_context(self.request) | context


class ForgottenView(ThrottledPage, UnauthenticatedPage, views.PasswordResetView):
    """Send a link. Whether anybody has the address shows neither in the answer nor in the time that it takes."""

    template_name = "desk/password_reset.html"
    form_class = AddressForm
    title = _("New password")

    def form_valid(self, form: PasswordResetForm) -> HttpResponse:
        throttles = PerMailboxAndAddress(), PerMailbox()
        if all(throttle.allow_request(self.request, self) for throttle in throttles):  # type: ignore[arg-type]
            base = settings.PUBLIC_URL or self.request.build_absolute_uri("/").rstrip("/")
            owners: list[Any] = list(form.get_users(form.cleaned_data["email"]))
            for user in owners:
                mail_password_link(user, base_url=base)
            for owner in owners or [None]:  # the answer takes as long for an address that nobody has
                record_event(Kind.PASSWORD_LINK_ASKED, user=owner, request=self.request)
        return HttpResponseRedirect(self.get_success_url())


class SentView(UnauthenticatedPage, views.PasswordResetDoneView):
    template_name = "desk/password_reset_done.html"
    title = _("Look into your mail")


class NewPasswordView(UnauthenticatedPage, views.PasswordResetConfirmView):
    """Set the password that a link is for. The second factor stays: who has read somebody's mail lacks it still."""

    template_name = "desk/password_reset_confirm.html"
    token_generator: PasswordResetTokenGenerator = PasswordLinks()
    form_class = NewPasswordForm
    title = _("New password")

    def form_valid(self, form: Any) -> HttpResponse:
        answer: HttpResponse = super().form_valid(form)
        know_device(self.request, form.user)  # so that who guesses does not keep its owner out, who has just come back
        return answer


class ChangedView(UnauthenticatedPage, views.PasswordResetCompleteView):
    template_name = "desk/password_reset_complete.html"
    title = _("New password")


class AcceptForm(AskForm):
    """Nothing but the button: who has a password already keeps it."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def save(self) -> User:
        return self.user


class InvitationView(NewPasswordView):
    """Accept an invitation, or decline it. Who has no password yet chooses one, and goes on to the second factor."""

    template_name = "desk/invitation.html"
    title = _("Welcome to Nattevakt")
    success_url = reverse_lazy("admin:index")
    invitation: Invitation

    def get_user(self, uidb64: Any) -> User | None:
        """Return who is invited. What Django's view calls the user's id is the invitation's."""
        found = find_invitation(uidb64)
        if found is None:
            return None
        self.invitation, self.token_generator = found, InvitationTokens(found)
        return found.user

    def get_form_class(self) -> Any:
        return AcceptForm if self.user and self.user.has_usable_password() else NewPasswordForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs) | {"title": self.title}
        if not self.validlink:
            return context
        return context | {"invitation": self.invitation, "is_new": not self.invitation.user.has_usable_password()}

    def post(self, request: HttpRequest, *args: str, **kwargs: Any) -> HttpResponse:
        if "decline" in request.POST:
            self.invitation.delete()
            self.validlink = False
            return self.render_to_response(self.get_context_data(declined=True))
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        is_new = not self.invitation.user.has_usable_password()
        try:
            with transaction.atomic():
                super().form_valid(form)
                accept_invitation(self.invitation)
        except ChangedMeanwhile:  # withdrawn, sent again or accepted in another window
            self.validlink = False
            return self.render_to_response(self.get_context_data())
        if is_new:
            return continue_login(self.request, form.user, to=reverse("admin:index"))
        return HttpResponseRedirect(reverse("admin:index"))  # by the login, for who is not in
