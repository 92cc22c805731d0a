"""docs/logs.md has every event that the code logs, with its level, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from cronjobs.models import Alert
from notifications.models import Notification
from tests.support.processes import PROJECT

LEVELS = {"debug", "info", "warning", "error"}
ROW = re.compile(r"^\| `(\w+)` \| (debug|info|warning|error) \|", re.MULTILINE)
APPS = ("certifications", "config", "cronjobs", "mentors", "notifications")


def calls() -> Iterator[ast.Call]:
    for app in APPS:
        for path in sorted((PROJECT / app).rglob("*.py")):
            yield from _calls_in(path)


def _calls_in(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


def argument(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def events_in_the_code() -> set[tuple[str, str]]:
    """Return (name, level) of every event."""
    found: set[tuple[str, str]] = set()
    for call in calls():
        assert isinstance(call.func, ast.Attribute)
        name = argument(call, "event_name")
        if call.func.attr in LEVELS and name is not None:
            found |= {(event, call.func.attr) for event in names_of(name)}
    return found


def names_of(name: ast.expr) -> set[str]:
    match name:
        case ast.Constant(value=str(event)):
            return {event}
        case ast.JoinedStr(values=[ast.Constant(value="alarm_"), _]):
            return {f"alarm_{event}" for event in Alert.Event}
        case ast.Name(id="kind"):  # of the outbox
            return kinds_of_warnings()
    raise AssertionError(f"Line {name.lineno}: say here which names this expression can have.")


def kinds_of_warnings() -> set[str]:
    """Return the kinds of messages that operations are warned by."""
    kinds = set()
    for call in calls():
        assert isinstance(call.func, ast.Attribute)
        kind = argument(call, "kind") if call.func.attr == "warn" else None
        if call.func.attr == "tell_operations":
            kind = call.args[0]
        if isinstance(kind, ast.Attribute) and argument(call, "operations") is None:
            kinds.add(str(Notification.Kind[kind.attr]))
    return kinds


def test_every_event_is_documented_with_its_level_and_no_other() -> None:
    documented = ROW.findall((PROJECT / "docs" / "logs.md").read_text(encoding="utf-8"))

    assert sorted(documented) == sorted(events_in_the_code())
