"""Signing in: the password, then a code, then the desk.

Between the password and the code nobody is logged in: the session holds no more than a signed note, good for ten
minutes, of whose password was right. So whatever asks `request.user` – the desk, the API, a view of some package –
finds nobody there, and does not have to know that there is a half. Logging in at once, and asking everywhere whether a
code was given too, would leave a door open wherever that is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth import login as log_in
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.views import LoginView, RedirectURLMixin
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView
from django_otp.models import Device
from unfold.forms import AuthenticationForm

from mentors.accounts.access import NoRole
from mentors.accounts.known_devices import is_known
from mentors.accounts.login_lock import wait_of
from mentors.accounts.scope import Permission, Scope
from mentors.accounts.second_factor import has_device, verify_code
from mentors.accounts.security_trail import record_event
from mentors.conflicts import ConflictError
from mentors.desk.action_page import AskForm
from mentors.models import SecurityEvent, User
from mentors.rest.throttles import PerLogin

BACKEND = "django.contrib.auth.backends.ModelBackend"
NOTE, NOTE_SECONDS = "half_login", 600
SALT = "nattevakt.half_login"


class SignInForm(AuthenticationForm):
    """The password of somebody who has a role, whatever `is_staff` says."""

    error_messages = {
        "invalid_login": _("The username or the password is wrong."),
        "no_role": NoRole.message,
    }

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        if not isinstance(user, User) or not Scope.of(user).may(Permission.SEE):
            raise ValidationError(self.error_messages["no_role"], code="no_role")


class CodeForm(AskForm):
    """A code of the app, or one from paper."""

    code = forms.CharField(
        label=_("Code"),
        max_length=32,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false", "autofocus": ""}
        ),
    )


class ThrottledPage:
    """A page by which one comes in: as by the API, and together with it, an address may only try so often."""

    def post(self, request: HttpRequest, *args: str, **kwargs: Any) -> HttpResponse:
        throttle = PerLogin()
        if throttle.allow_request(request, self):  # type: ignore[arg-type]  # all it reads are the headers
            answer: HttpResponse = super().post(request, *args, **kwargs)  # type: ignore[misc]
            return answer
        context = admin.site.each_context(request) | {"title": _("Wait a little")}
        page = render(request, "desk/too_often.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)
        page["Retry-After"] = str(ceil(throttle.wait() or 1))
        return page


class SignInView(ThrottledPage, LoginView):
    """The page that asks for the password."""

    def get_default_redirect_url(self) -> str:
        return reverse("admin:index")

    def form_valid(self, form: Any) -> HttpResponse:
        return continue_login(self.request, form.get_user(), to=self.get_success_url())


class PendingLogin(RedirectURLMixin):
    """A page for who has given the right password, or holds an invitation, and nothing more; `next` leads on."""

    request: HttpRequest

    def get_default_redirect_url(self) -> str:
        return reverse("admin:index")

    def back_to_the_password(self) -> HttpResponseRedirect:
        return HttpResponseRedirect(_with_next(reverse("admin:login"), self.get_success_url()))


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class CodeView(ThrottledPage, PendingLogin, FormView[CodeForm]):
    """The page that asks for the code."""

    template_name = "desk/login_code.html"
    form_class = CodeForm
    user: User

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = find_pending_login(request)
        if user is None:
            return self.back_to_the_password()
        self.user = user
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return admin.site.each_context(self.request) | {"title": _("Code")} | context

    def form_valid(self, form: CodeForm) -> HttpResponse:
        try:
            device = verify_code(self.user, form.cleaned_data["code"], request=self.request, now=timezone.now())
        except ConflictError as refusal:
            form.add_error("code", str(refusal))
            return self.form_invalid(form)
        complete_login(self.request, self.user, device)
        return HttpResponseRedirect(self.get_success_url())


def continue_login(request: HttpRequest, user: User, *, to: str) -> HttpResponseRedirect:
    """Redirect after the right password: to the code, to the setup of an app, or straight to the page asked for."""
    if has_device(user):
        page = reverse("admin:login_code")
    elif settings.SECOND_FACTOR_REQUIRED:
        page = reverse("admin:second_factor_device")
    else:
        complete_login(request, user)
        return HttpResponseRedirect(to)
    request.session.flush()  # of anybody else, and so that who knew its key before knows nothing now
    note = {"user": user.pk, "password": user.get_session_auth_hash()}
    request.session[NOTE] = signing.dumps(note, salt=SALT)
    return HttpResponseRedirect(_with_next(page, to))


def find_pending_login(request: HttpRequest) -> User | None:
    """Return whose password was right in this session a short while ago, and still is."""
    try:
        note = signing.loads(request.session.get(NOTE, ""), salt=SALT, max_age=NOTE_SECONDS)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=note["user"], is_active=True).first()
    if user is None:
        return None
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return user if any(constant_time_compare(note["password"], each) for each in hashes) else None


def complete_login(request: HttpRequest, user: User, device: Device | None = None, *, is_renewal: bool = False) -> None:
    """Log in, under a new session key, and keep which device gave the code.

    It is a renewal for who was in, and has a new device.
    """
    kind = SecurityEvent.Kind.LOGIN if is_known(request, user) else SecurityEvent.Kind.NEW_DEVICE
    user.otp_device = device  # type: ignore[attr-defined]  # django-otp keeps it in the session when one logs in
    request.session.pop(NOTE, None)
    log_in(request, user, backend=BACKEND)
    if not is_renewal:
        record_event(kind, user=user, request=request)


def sign_in_view(context: dict[str, Any]) -> Callable[..., Any]:
    return SignInView.as_view(authentication_form=SignInForm, template_name="desk/login.html", extra_context=context)


def answer_locked(
    request: HttpRequest, response: HttpResponse | None = None, _credentials: object = None
) -> HttpResponse:
    """Answer for django-axes a login that is locked: with a page, unless the API has answered by itself."""
    if response is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return response
    wait = wait_of(request)
    context = admin.site.each_context(request) | {
        "title": _("Wait a little"),
        "minutes": ceil(wait.total_seconds() / 60),
    }
    page = render(request, "desk/login_locked.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)
    page["Retry-After"] = str(ceil(wait.total_seconds()))
    return page


def _with_next(page: str, to: str) -> str:
    return f"{page}?{urlencode({REDIRECT_FIELD_NAME: to})}"
