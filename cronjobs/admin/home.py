"""The home page of the desk: what there is to know at a glance."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from mentors.desk.scoped import scope_of


def show_home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Give the home page what it shows; unfold calls it (UNFOLD, DASHBOARD_CALLBACK)."""
    return context | {"scope": scope_of(request)}
