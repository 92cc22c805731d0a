"""Whose fault a refusal is: the replies that the commonest providers publish, and the codes of the RFCs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notifications.replies import IS_FULL, sort_reply

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


@pytest.mark.parametrize(
    "reply",
    [
        "550 Requested action not taken: mailbox unavailable\nReject due to policy restrictions.",
        "550 SPF record of example.org does not exist",
        "550 Reverse DNS not found",
        "550 PTR record does not exist",
        "550 Mail from unknown host rejected",
        "550 HELO name does not exist",
        "554 Client host rejected: cannot find your hostname; host unknown",
        "550 5.1.0 sending IP blocked for spam",
        "550 5.1.1 Message blocked by policy",
        "550 5.1.1 messages from [192.0.2.1] weren't sent. Part of their network is on our block list (S3140).",
    ],
)
def test_what_is_said_of_the_sender_is_ours_whatever_code_and_words_come_with_it(reply: str) -> None:
    code, _space, words = reply.partition(" ")

    verdict = sort_reply(int(code), words)

    assert (verdict.fault, verdict.bad_address) == ("ourselves", False)


@pytest.mark.parametrize(
    "reply",
    [
        "550 Callout verification failed:\nNo such user here",
        "550 5.1.1 User unknown in relay recipient table",
        "550 5.1.2 Host unknown (Name server: host not found)",
    ],
)
def test_where_nobody_is_may_be_said_in_several_lines_and_in_words_that_we_know_from_elsewhere(reply: str) -> None:
    code, _space, words = reply.partition(" ")

    assert sort_reply(int(code), words).bad_address


def test_a_full_mailbox_may_be_said_in_several_lines() -> None:
    assert sort_reply(550, "The mailbox\nis full") == IS_FULL
