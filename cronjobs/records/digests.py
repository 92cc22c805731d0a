"""What a run's record is, to the byte: alike in the database, under a seal and in a file (docs/records.md).

    record digest ── of the run's facts and of its items, in the order of their ids: what is sealed
    seal digest ──── of the seal before it and this one: an organisation's chain
    row hash ─────── of the row before it and this one: the chain within a file

All are SHA-256, as hexadecimal. Every value is taken as the text that a file shows of it, so that CSV, JSON and the
database come to the same digest. A record has what never changes once the run is closed: no names of people, and no
links to what may be removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from cronjobs.models import Run, RunItem, Seal
from mentors.record_text import RecordText

ITEM_FACTS = (
    "id", "action", "dedupe_key", "mentor_id", "type", "number", "expires_on", "stage", "status", "outcome", "error",
    "attempts", "at",
)  # fmt: skip
RUN_FACTS = (
    "id", "organisation_id", "business_date", "scheduled_for", "trigger", "approved", "approved_by", "requested_by",
    "status", "already_handled", "created_at", "started_at", "finished_at", "error", "cause", "code_version",
)  # fmt: skip
SEAL_FACTS = ("number", "run_id", "items", "record_digest", "at")

# The columns of a file. A row is an item, or the record of the run whose items stand above it, or the end of the file.
COLUMNS = (
    "run", "business_date", "action", "mentor_ref", "mentor_name", "type", "number", "expires_on", "stage", "status",
    "outcome", "error", "attempts", "at", "id", "dedupe_key", "mentor_id", "record", "row", "hash",
)  # fmt: skip
RUN_ROW, END_ROW = "run", "end"  # in the column `action`

ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
AT_ONCE = 2000  # rows


def text_of(value: object) -> str:
    """Return the text that a file shows of a value."""
    if type(value) is str:  # most are: a night has a million values
        return value
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
    match value:
        case None:
            return ""
        case RecordText():
            return value.as_text()
        case date():
            return value.isoformat()
        case dict() | list():
            return canonical(value)
        case _:
            return str(value)


def canonical(value: object) -> str:
    """Write a value as JSON in the one way in which it is hashed."""
    return ENCODER.encode(value)


def hash_row(previous: str, row: Mapping[str, object]) -> str:
    """Return the hash of a file's row, given the hash of the row before it; of the first row that is empty."""
    values = [text_of(row.get(column)) for column in COLUMNS[:-1]]
    return _digest(f"{previous}\n{canonical(values)}")


class ItemsDigest:
    """The digest of a run's items, added one after the other in the order of their ids."""

    def __init__(self) -> None:
        self.count = 0
        self._hash = sha256()

    def add(self, facts: Sequence[object]) -> None:
        """Add an item, by its `ITEM_FACTS` in their order."""
        self.count += 1
        self._hash.update(f"{canonical([text_of(fact) for fact in facts])}\n".encode())

    def of_record(self, facts: Mapping[str, Any]) -> str:
        """Return the record digest of a run with these facts and the items that were added."""
        return _digest(f"{canonical(facts)}\n{self._hash.hexdigest()}")


def items_of(run_id: UUID) -> Iterator[tuple[Any, ...]]:
    """Yield the facts of a run's items, a few at a time however many they are."""
    return RunItem.objects.filter(run=run_id).order_by("id").values_list(*ITEM_FACTS).iterator(AT_ONCE)


def facts_of(run: Run) -> dict[str, Any]:
    """Return what a record says of the run itself, as it stands in a file."""
    return {name: text_of(getattr(run, name)) for name in RUN_FACTS} | {"actions": run.actions, "counts": run.counts}


def seal_facts(seal: Seal, *, previous: str) -> dict[str, Any]:
    """Return a seal as it stands in a file, with the digest of the one before it."""
    return {name: text_of(getattr(seal, name)) for name in SEAL_FACTS} | {"previous": previous, "digest": seal.digest}


def digest_seal(previous: str, facts: Mapping[str, object]) -> str:
    """Return the digest of a seal with these `SEAL_FACTS`, given the digest of the one before it."""
    return _digest(canonical([previous, *(text_of(facts.get(name)) for name in SEAL_FACTS)]))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
