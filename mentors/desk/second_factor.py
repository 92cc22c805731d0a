"""One's own second factor: an app is set up, codes are printed, both are replaced or removed.

Each change asks again for the password or a code, so that a desk that was left open cannot be taken over for good.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import qrcode  # type: ignore[import-untyped]
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import authenticate, update_session_auth_hash
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView
from django_otp.plugins.otp_totp.models import default_key
from qrcode.image.svg import SvgPathImage  # type: ignore[import-untyped]

from mentors.accounts.second_factor import (
    APP_CODE,
    count_backup_codes,
    enrol_device,
    find_device,
    remove_second_factor,
    replace_backup_codes,
    secret_of,
    setup_url,
    verify_code,
)
from mentors.conflicts import ConflictError
from mentors.desk.action_page import AskForm, ask
from mentors.desk.scoped import actor_of
from mentors.desk.sign_in import CodeForm, PendingLogin, complete_login, find_pending_login
from mentors.encryption import Undecryptable, decrypt, encrypt
from mentors.models import User

KEY = "second_factor_key"  # in the session, encrypted, until its first code has come


class ProofWrong(ConflictError):
    """Neither the user's password nor a code of theirs."""

    code = "proof_wrong"
    message = gettext_lazy("This is neither your password nor a code from your app.")


class ProofForm(AskForm):
    """That it is still the user who sits there."""

    proof = forms.CharField(
        label=gettext_lazy("Your password, or a code from your app"),
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class NewDeviceForm(ProofForm, CodeForm):
    """The first code of an app; and the proof, from somebody who is logged in already."""

    field_order = ("code", "proof")

    def __init__(self, *args: Any, asks_proof: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not asks_proof:
            del self.fields["proof"]


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class DeviceView(PendingLogin, FormView[NewDeviceForm]):
    """The page that sets up an app: for who must have one to come in, and for who has come in and wants another."""

    template_name = "desk/second_factor_device.html"
    form_class = NewDeviceForm
    user: User
    is_logged_in: bool

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.is_logged_in = admin.site.has_permission(request)
        user = actor_of(request) if self.is_logged_in else find_pending_login(request)
        # Who has a device comes in by its code, and may then replace it: not by the password alone.
        if user is None or (not self.is_logged_in and find_device(user)):
            return self.back_to_the_password()
        self.user = user
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"asks_proof": self.is_logged_in}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        key = self._key()
        return _context(self.request, _("Set up your app")) | context | {
            "qr_code": draw(setup_url(self.user, key)),
            "secret": group(secret_of(key).lower()),
            "is_logged_in": self.is_logged_in,
            "layout": "admin/base_site.html" if self.is_logged_in else "unfold/layouts/unauthenticated.html",
        }  # fmt: skip

    def _key(self) -> str:
        """Return the key (hex) that is being set up. It stays the same until its first code has come."""
        bound_to = f"setup:{self.user.pk}"
        with contextlib.suppress(Undecryptable):
            return decrypt(self.request.session.get(KEY, ""), bound_to=bound_to).hex()
        key: str = default_key()  # type: ignore[no-untyped-call]
        self.request.session[KEY] = encrypt(bytes.fromhex(key), bound_to=bound_to)
        return key

    def form_valid(self, form: NewDeviceForm) -> HttpResponse:
        try:
            if self.is_logged_in:
                reauthenticate(self.request, self.user, form.cleaned_data["proof"])
        except ConflictError as refusal:
            form.add_error("proof", str(refusal))
            return self.form_invalid(form)
        try:
            device, codes = enrol_device(self.user, key=self._key(), code=form.cleaned_data["code"])
        except ConflictError as refusal:
            form.add_error("code", str(refusal))
            return self.form_invalid(form)
        self.request.session.pop(KEY, None)
        complete_login(self.request, self.user, device, is_renewal=self.is_logged_in)
        return show_codes(self.request, codes, to=self.get_success_url())


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class CodesView(FormView[ProofForm]):
    """The page that makes new codes for paper."""

    template_name = "desk/ask.html"
    form_class = ProofForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return _context(self.request, _("Make new codes for paper")) | context | {
            "explanation": _("The codes that you have on paper now are void from then on."),
            "back": reverse("admin:second_factor"),
        }  # fmt: skip

    def form_valid(self, form: ProofForm) -> HttpResponse:
        user = actor_of(self.request)
        if not find_device(user):
            raise PermissionDenied
        try:
            reauthenticate(self.request, user, form.cleaned_data["proof"])
        except ConflictError as refusal:
            form.add_error("proof", str(refusal))
            return self.form_invalid(form)
        return show_codes(self.request, replace_backup_codes(user), to=reverse("admin:second_factor"))


@never_cache
def show(request: HttpRequest) -> HttpResponse:
    """Show what the user has."""
    user = actor_of(request)
    context = _context(request, _("Second factor")) | {
        "device": find_device(user),
        "codes_left": count_backup_codes(user),
        "is_required": settings.SECOND_FACTOR_REQUIRED,
    }
    return TemplateResponse(request, "desk/second_factor.html", context)


@sensitive_post_parameters()
def remove(request: HttpRequest) -> HttpResponse:
    """Go back to the password alone, where this installation allows it."""
    if settings.SECOND_FACTOR_REQUIRED:
        raise PermissionDenied
    user = actor_of(request)

    def act(*, proof: str) -> str:
        reauthenticate(request, user, proof)
        remove_second_factor(user)
        update_session_auth_hash(request, user)  # who has proved it stays; everywhere else access has ended
        return _("Your password alone lets you in now.")

    context = _context(request, _("Remove the second factor")) | {
        "explanation": _("Your app and your codes on paper let you in no more. Whoever knows your password comes in."),
    }
    return ask(request, ProofForm(request.POST or None), context=context, act=act, back=reverse("admin:second_factor"))


def reauthenticate(request: HttpRequest, user: User, proof: str) -> None:
    """Take the user's password or a code; django-axes counts both. Raises ConflictError."""
    if APP_CODE.fullmatch(proof.strip()):
        verify_code(user, proof, request=request, now=timezone.now())
    elif authenticate(request, username=user.get_username(), password=proof) != user:
        raise ProofWrong


def show_codes(request: HttpRequest, codes: list[str], *, to: str) -> HttpResponse:
    """Show codes for paper, this once."""
    context = _context(request, _("Your codes for paper")) | {"codes": [group(code) for code in codes], "to": to}
    return TemplateResponse(request, "desk/second_factor_codes.html", context)


def draw(text: str) -> SafeString:
    """Return the text as a QR code, in SVG that stands in the page itself: a secret is nobody else's to draw."""
    drawn = io.BytesIO()
    qrcode.make(text, image_factory=SvgPathImage, border=2).save(drawn)
    return mark_safe(drawn.getvalue().decode().partition("?>")[2])  # noqa: S308 (paths, made here)


def group(secret: str) -> str:
    """Return it in groups of four, as people read it."""
    return " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))


def _context(request: HttpRequest, title: str) -> dict[str, Any]:
    return admin.site.each_context(request) | {"title": title}
