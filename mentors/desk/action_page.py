"""The page of a button: a form asks for what is needed, and its submission does one thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    CHECKBOX_CLASSES,
    FILE_CLASSES,
    INPUT_CLASSES,
    RADIO_CLASSES,
    SELECT_CLASSES,
    TEXTAREA_CLASSES,
    UnfoldAdminSelectWidget,
)

from mentors.conflicts import ConflictError

CLASSES: dict[type[forms.Widget], list[str]] = {
    forms.Textarea: TEXTAREA_CLASSES,
    forms.Select: SELECT_CLASSES,
    forms.RadioSelect: RADIO_CLASSES,
    forms.CheckboxInput: CHECKBOX_CLASSES,
    forms.CheckboxSelectMultiple: CHECKBOX_CLASSES,
    forms.ClearableFileInput: FILE_CLASSES,
}


class AskForm(forms.Form):
    """A form as the desk shows it; a day is asked for with the browser's own calendar, which phones have too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if type(field.widget) is forms.DateInput:
                field.widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
            if type(field.widget) is forms.Select:
                field.widget.template_name = UnfoldAdminSelectWidget.template_name  # with a sign that it opens
            field.widget.attrs.setdefault("class", " ".join(CLASSES.get(type(field.widget), INPUT_CLASSES)))


class ReasonForm(AskForm):
    """Why."""

    reason = forms.CharField(label=_("Reason"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))


def ask(
    request: HttpRequest,
    form: forms.Form,
    *,
    context: dict[str, Any],
    act: Callable[..., str],
    back: str,
    template: str = "desk/ask.html",
) -> HttpResponse:
    """Show the form, or do what it was filled in for: `act` gets its cleaned fields, and returns the message.

    `context` is the site's, with `title`, and maybe `explanation` (a text) and `button` (its words). `back` is where
    the user goes afterwards. If `act` raises ConflictError or ValidationError, the form shows the error, and keeps
    what was filled in.
    """
    if request.method == "POST" and form.is_valid():
        try:
            said = act(**form.cleaned_data)
        except (ConflictError, ValidationError) as refusal:
            say_refused(form, refusal)
        else:
            messages.success(request, said)
            return HttpResponseRedirect(back)
    status = 422 if form.errors else 200
    return TemplateResponse(request, template, {**context, "back": back, "form": form}, status=status)


def say_refused(form: forms.Form, refusal: ConflictError | ValidationError) -> None:
    """Show the error in the form: beside the fields that it names if the form has all of them, or else above."""
    if isinstance(refusal, ValidationError):
        is_about_fields = set(getattr(refusal, "error_dict", {})) <= set(form.fields)
        form.add_error(None, refusal if is_about_fields else ValidationError(refusal.messages))
    else:
        form.add_error(None, str(refusal))
