"""The ledger's items as rows: what the API, the desk, the command `nightly` and a file show of each."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import F, QuerySet

from cronjobs.models import RunItem

Row = dict[str, Any]
Rows = list[Row]

ITEM_FIELDS = (
    "action", "mentor_ref", "mentor_name", "type", "number", "expires_on", "stage", "status",
    "outcome", "error", "attempts", "at",
)  # fmt: skip
# The status of what a dry run would do; no item has it.
PLANNED = "planned"


def ledger_rows(items: QuerySet[RunItem], *more: str) -> QuerySet[RunItem, Row]:
    """Return the items with `ITEM_FIELDS`, and `more` of their fields, by one query."""
    named = items.annotate(mentor_ref=F("mentor__ref"), mentor_name=F("mentor__name"))
    return cast("QuerySet[RunItem, Row]", named.values(*ITEM_FIELDS, *more))
