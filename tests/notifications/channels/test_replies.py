"""Whose fault a refusal is: the replies that the commonest providers publish, and the codes of the RFCs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notifications.replies import sort_reply

DOCUMENT = Path(__file__).parents[3] / "docs" / "replies.md"
# | provider | `reply` | whose fault | what follows | source |
ROW = re.compile(r"^\| (?P<provider>[^|]+) \| `(?P<reply>[^`]+)` \| (?P<fault>[^|]+) \| (?P<follows>[^|]+) \|", re.M)
ROWS = [match.groupdict() for match in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))]
FAULTS = {"the recipient's": "recipient", "ours": "ourselves", "the provider's": "provider"}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['provider']}: {row['reply'][:60]}" for row in ROWS])
def test_a_reply_is_sorted_as_the_table_says(row: dict[str, str]) -> None:
    code, _space, words = row["reply"].partition(" ")

    verdict = sort_reply(int(code), words)

    assert verdict.fault == FAULTS[row["fault"].strip()]
    follows = "address marked" if verdict.bad_address else "refused" if verdict.for_good else "later"
    assert follows == row["follows"].strip()


def test_the_table_has_the_twelve_commonest_providers_and_more_than_one_reply_of_most() -> None:
    providers = [row["provider"].strip() for row in ROWS]

    assert len(set(providers) - {"any (RFC)"}) >= 12
    assert len(ROWS) >= 45


def test_only_the_recipients_fault_marks_an_address() -> None:
    assert {row["fault"].strip() for row in ROWS if row["follows"].strip() == "address marked"} == {"the recipient's"}
