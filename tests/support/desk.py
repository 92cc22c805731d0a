"""Reading the pages of the desk."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.db.models import Model
from django.urls import reverse

EXPIRED = {"status": "paused", "pause_cause": "certification_expired"}


def page(row: Model, button: str = "change") -> str:
    """Return the address of a row's page, or of the page behind one of its buttons."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{button}", args=[row.pk])


def text(answer: Any) -> str:
    """Return what was answered, with one space where there is any."""
    return " ".join(answer.content.decode().split())


def filled_in(answer: Any) -> dict[str, str]:
    """Return what a browser would send if somebody pressed "Save" on the page of a row as it is shown."""
    form = Form()
    form.feed(answer.content.decode())
    return form.values


class Form(HTMLParser):
    """The fields of the page's form, by name, as a browser sends them."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.is_inside = False
        self.open_field = ""  # a select or a textarea

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        its = dict(attrs)
        name = its.get("name") or ""
        if tag == "form":
            self.is_inside = (its.get("id") or "").endswith("_form")
        if not self.is_inside:
            return
        if tag in ("select", "textarea"):
            self.open_field = name
            self.values.setdefault(name, "")
        elif tag == "option" and "selected" in its:
            self.values[self.open_field] = its.get("value") or ""
        elif tag == "input" and name and its.get("type") not in ("submit", "button"):
            if its.get("type") != "checkbox":
                self.values[name] = its.get("value") or ""
            elif "checked" in its:
                self.values[name] = its.get("value") or "on"

    def handle_data(self, data: str) -> None:
        if self.is_inside and self.open_field and self.lasttag == "textarea":
            self.values[self.open_field] += data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self.open_field = ""
        if tag == "form":
            self.is_inside = False
