"""Calling a command, and what it prints."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from django.core.management import call_command


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def run_for_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--format", "json"))
