"""The items of a run as its page lists them: within the scope, filtered, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from cronjobs.dry_run import dry_run_rows
from cronjobs.ledger import count_items
from cronjobs.ledger_rows import PLANNED, Row, Rows, ledger_rows
from cronjobs.models import Action, Run, RunItem
from mentors.accounts.scope import Scope

AT_ONCE = 50
STATUSES: dict[str, StrOrPromise] = {**dict(RunItem.Status.choices), PLANNED: _("would be done")}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A filter's choice, and the address of the list that it makes."""

    words: StrOrPromise
    query: str
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class ItemPage:
    """A page of items. Whether there is a next one is known without counting them all."""

    rows: Sequence[Any]
    page: int
    is_last: bool
    action: str
    status: str

    @property
    def is_filtered(self) -> bool:
        return bool(self.action or self.status)

    @property
    def previous(self) -> str:
        return self._query(page=self.page - 1) if self.page > 1 else ""

    @property
    def next(self) -> str:
        return "" if self.is_last else self._query(page=self.page + 1)

    @property
    def actions(self) -> list[Choice]:
        return [self._choice(words, action=value) for value, words in [("", _("all")), *Action.choices]]

    @property
    def statuses(self) -> list[Choice]:
        return [self._choice(words, status=value) for value, words in [("", _("all")), *RunItem.Status.choices]]

    def _choice(self, words: StrOrPromise, **chosen: str) -> Choice:
        [(name, value)] = chosen.items()
        return Choice(words=words, query=self._query(**chosen), is_chosen=getattr(self, name) == value)

    def _query(self, **changed: Any) -> str:
        params = {"action": self.action, "status": self.status} | changed
        return "?" + urlencode({name: value for name, value in params.items() if value}) + "#items"


def items_seen(run: Run, scope: Scope) -> QuerySet[RunItem]:
    """Return the items of the run that the user sees; who sees all of them pays for no look at the mentors."""
    items = RunItem.objects.filter(run=run)
    return items if scope.sees_all_items(organisation_id=run.organisation_id) else items.filter(scope.ledger())


def list_items(run: Run, *, scope: Scope, params: MultiValueDict[str, str]) -> ItemPage:
    """Return the page of items that is asked for; invalid filters are left out."""
    action = _one_of(params.get("action"), Action.values)
    status = _one_of(params.get("status"), RunItem.Status.values)
    asked = params.get("page", "")
    page = max(int(asked), 1) if asked.isascii() and asked.isdigit() and len(asked) < 8 else 1
    start = (page - 1) * AT_ONCE
    found: QuerySet[RunItem, Row] | Rows
    if run.dry_run:
        found = dry_run_rows(run, "mentor_id", scope=scope, now=timezone.now())
        found = [row for row in found if action in ("", row["action"])]
    else:
        chosen = {name: value for name, value in (("action", action), ("status", status)) if value}
        found = ledger_rows(items_seen(run, scope).filter(**chosen).order_by("id"), "mentor_id")
    rows = list(found[start : start + AT_ONCE + 1])
    shown = [
        row | {"action_words": Action(row["action"]).label, "status_words": STATUSES[row["status"]]}
        for row in rows[:AT_ONCE]
    ]
    return ItemPage(rows=shown, page=page, is_last=len(rows) <= AT_ONCE, action=action, status=status)


def _one_of(asked: str | None, values: Sequence[str]) -> str:
    return asked if asked and asked in values else ""


def count_by_action(run: Run) -> list[tuple[Action, dict[str, int]]]:
    """Return how many items of each action the run has, by what became of them; of an open run as of now."""
    counted = count_items(run) if run.is_open else {}
    found = []
    for action in Action:
        if action in run.counts:
            counts = run.counts[action] | counted.get(action, {})
            found.append((action, {"pending": 0} | counts | {"planned": run.counts[action]["planned"]}))
    return found
