"""Reading the pages of the desk."""

from __future__ import annotations

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
