"""A page of the desk stays open while others work: its form writes only what its user has changed on it.

The page carries, in hidden fields, what it has shown. A field that was left as it was shown keeps what it has *now*.
A field that both have changed is refused, with what it has now; what was filled in stays.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.forms.forms import BaseForm
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext as _


class MergingForm(BaseForm):
    """Mixed into the form of a row that is there already, and that was read under its lock."""

    data: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = not field.disabled

    @cached_property
    def changed_data(self) -> list[str]:
        """What the user has changed on the page, whatever others have changed since."""
        return [name for name in self.fields if _differ(self.fields[name], self._shown(self[name]), self[name].data)]

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]
        for name in self.fields:
            field, bound = self.fields[name], self[name]
            if not self._has_shown(bound) or not _differ(field, bound.initial, self._shown(bound)):
                continue
            if name not in self.changed_data:
                self._take_over(bound)
            elif _differ(field, bound.initial, bound.data):
                said = _("Somebody has changed it meanwhile. Now it is: %(value)s")
                self.add_error(name, said % {"value": _say(bound)})
                self._show_as_now(bound, bound.html_initial_name)

    def _has_shown(self, bound: BoundField) -> bool:
        """Say whether the page has shown the field, as a script's has not."""
        return not bound.field.disabled and bound.html_initial_name in self.data

    def _shown(self, bound: BoundField) -> Any:
        if not self._has_shown(bound):
            return bound.initial
        return bound.field.hidden_widget().value_from_datadict(self.data, self.files, bound.html_initial_name)

    def _take_over(self, bound: BoundField) -> None:
        """Let the field have what it has now."""
        self.errors.pop(bound.name, None)
        self._show_as_now(bound, bound.html_name, bound.html_initial_name)
        try:
            self.cleaned_data[bound.name] = bound.field.clean(bound.field.prepare_value(bound.initial))
        except forms.ValidationError as error:
            self.add_error(bound.name, error)

    def _show_as_now(self, bound: BoundField, *names: str) -> None:
        """Let the page, if it is shown again, have there what the field has now."""
        now = bound.field.prepare_value(bound.initial)
        self.data = self.data.copy()
        for name in names:
            self.data[name] = "" if now is None else now


class MergingModelForm(MergingForm, forms.ModelForm[Any]):
    """For rows that are changed on the page of another."""


def _differ(field: forms.Field, one: Any, other: Any) -> bool:
    """Say whether two values of a field differ by more than a browser's own line breaks, and blanks at the ends."""
    one = _with_line_feeds(field.prepare_value(one))
    with suppress(forms.ValidationError):  # it is no choice any more
        one = field.to_python(one)
    return not field.disabled and field.has_changed(one, _with_line_feeds(other))


def _with_line_feeds(value: Any) -> Any:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _say(bound: BoundField) -> str:
    """Return what the field has now, as its user reads it."""
    now, field = bound.initial, bound.field
    if isinstance(now, bool):
        return _("Yes") if now else _("No")
    if isinstance(now, date):
        return date_format(now)
    if isinstance(field, forms.ModelChoiceField):
        row = field.queryset.filter(pk=now).first() if field.queryset is not None else None
        return str(row or "–")
    if isinstance(field, forms.ChoiceField):
        return str(dict(field.choices).get(now, now))  # type: ignore[arg-type]
    return str(field.prepare_value(now) or "–")
