"""A new password by a link in an e-mail: for who has forgotten theirs, and for who is invited and has none yet."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views
from django.contrib.auth.forms import PasswordResetForm, SetPasswordForm
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from mentors.accounts.invitations import InvitationTokens
from mentors.accounts.passwords import PasswordLinks
from mentors.desk.action_page import AskForm
from mentors.desk.sign_in import continue_login
from mentors.rest.throttles import FailOpen, PerLogin
from notifications.passwords import mail_password_link

TOO_OFTEN = 429


class AddressForm(AskForm, PasswordResetForm):
    """To which address the link is sent."""


class NewPasswordForm(AskForm, SetPasswordForm):  # type: ignore[type-arg]  # it takes none at run time
    """A password, twice."""


class PerMailbox(FailOpen):
    """An address to which links are sent, whoever asks: no mailbox is flooded from here."""

    scope = "mailbox"
    rate = "3/hour"

    def get_cache_key(self, request: Request, view: Any) -> str:
        address = request.POST.get("email", "").strip().lower()
        ident = salted_hmac("nattevakt.mailbox", address, algorithm="sha256").hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": ident}


class UnauthenticatedPage:
    """A page of the desk that needs no login."""

    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        return admin.site.each_context(self.request) | context


class ForgottenView(UnauthenticatedPage, views.PasswordResetView):
    """Send a link. Whether anybody has the address shows neither in the answer nor in the time that it takes."""

    template_name = "desk/password_reset.html"
    form_class = AddressForm
    title = _("New password")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not PerLogin().allow_request(request, self):  # type: ignore[arg-type]  # all it reads are the headers
            context = admin.site.each_context(request) | {"title": _("Wait a little")}
            return render(request, "desk/password_too_often.html", context, status=TOO_OFTEN)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: PasswordResetForm) -> HttpResponse:
        if PerMailbox().allow_request(self.request, self):  # type: ignore[arg-type]
            base = settings.PUBLIC_URL or self.request.build_absolute_uri("/").rstrip("/")
            for user in form.get_users(form.cleaned_data["email"]):
                mail_password_link(user, base_url=base)
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


class ChangedView(UnauthenticatedPage, views.PasswordResetCompleteView):
    template_name = "desk/password_reset_complete.html"
    title = _("New password")


class InvitationView(NewPasswordView):
    """Take over the account that somebody was invited to; then on to the second factor and the desk."""

    template_name = "desk/invitation.html"
    token_generator = InvitationTokens()
    title = _("Welcome to Nattevakt")
    success_url = reverse_lazy("admin:index")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"invited": self.user, "title": self.title}

    def form_valid(self, form: Any) -> HttpResponse:
        super().form_valid(form)
        return continue_login(self.request, form.user, to=reverse("admin:index"))
