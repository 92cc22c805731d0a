"""Bulk work in three steps: what is asked for, what would happen, what happened.

fill in ── preview ──► look at it ── apply ──► done
   ▲                       │
   └──────── edit ─────────┘        what was filled in goes along in hidden fields; nothing is kept in between
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mentors.conflicts import ConflictError
from mentors.desk.action_page import AskForm, say_refused

MOST = 5000  # rows that one transaction locks, and that a person can still look at


class TooMany(ConflictError):
    """Bulk work is looked at by a person before it is done."""

    code = "too_many"
    message = gettext_lazy("More than %(most)s are chosen: choose fewer, for example a chapter at a time.")

    def __init__(self) -> None:
        super().__init__(self.message % {"most": MOST})


class Ids(forms.CharField):
    """Ids joined by commas, which a browser sends as one field however many they are."""

    widget = forms.HiddenInput

    def clean(self, value: Any) -> list[int]:
        texts = [text for text in str(super().clean(value)).split(",") if text]
        if not all(text.isascii() and text.isdigit() and len(text) <= 18 for text in texts):
            raise ValidationError(_("The choice cannot be read: choose again."))
        ids = sorted({int(text) for text in texts})
        if len(ids) > MOST:
            raise ValidationError(str(TooMany()))
        return ids


def chosen_ids(queryset: QuerySet[Any]) -> list[int]:
    """Return the ids of the chosen rows. Raises TooMany."""
    ids = list(queryset.order_by().values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        raise TooMany
    return ids


def how_many(count: int) -> str:
    return ngettext("%(count)d is chosen.", "%(count)d are chosen.", count) % {"count": count}


def preview_then_do(
    request: HttpRequest,
    form: AskForm,
    *,
    context: dict[str, Any],
    preview: Callable[..., Any],
    act: Callable[..., HttpResponse],
    template: str,
) -> HttpResponse:
    """Show the form, the preview of what was filled in, or do it, by the button that was pressed.

    `preview` and `act` get the cleaned fields. The form shows what they refuse. `act` computes anew what is to be
    done, so it sees what has changed since the preview; it has a transaction, so all of it is taken back if it raises.
    """
    shown: Any = None
    if request.method == "POST" and "edit" not in request.POST and form.is_valid():
        try:
            if "apply" in request.POST:
                with transaction.atomic():
                    return act(**form.cleaned_data)
            shown = preview(**form.cleaned_data)
        except (ConflictError, ValidationError) as refusal:
            say_refused(form, refusal)
    if shown is not None:
        hide(form)
    told = {**context, "form": form, "preview": shown}
    return TemplateResponse(request, template, told, status=422 if form.errors else 200)


def hide(form: AskForm) -> None:
    """Let the form carry what was filled in, and show nothing of it."""
    for field in form.fields.values():
        field.widget = field.hidden_widget()
