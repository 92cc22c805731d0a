"""The code cites the rules and the invariants by number, and docs/rules.md has each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import PROJECT

RULES = (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8")
NUMBERS = {
    "rule": set(re.findall(r"^### (\d+)\. ", RULES, re.MULTILINE)),
    "invariant": set(re.findall(r"^\| (\d+) \|", RULES, re.MULTILINE)),
}
# "rule 4", "Rules 2, 3 and 11", "rules 4 to 6", also across a line.
CITATION = re.compile(r"\b(rule|invariant)s?\s+(\d+(?:(?:,\s+|\s+and\s+|\s+to\s+)\d+)*)", re.IGNORECASE)
FOLDERS = ("certifications", "config", "cronjobs", "docs", "mentors", "notifications", "tests")
SUFFIXES = {".py", ".html", ".md", ".sql"}


def citations() -> Iterator[tuple[Path, str, str]]:
    """Yield where something is cited, which kind of thing, and its number."""
    for folder in FOLDERS:
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.suffix in SUFFIXES:
                for kind, numbers in CITATION.findall(path.read_text(encoding="utf-8")):
                    for number in re.findall(r"\d+", numbers):
                        yield path.relative_to(PROJECT), kind.lower(), number


def test_every_cited_number_stands_in_the_rules() -> None:
    found = list(citations())

    unknown = [(str(path), kind, number) for path, kind, number in found if number not in NUMBERS[kind]]

    assert unknown == []
    assert len(found) > 90  # or the pattern would have stopped to find them


@pytest.mark.parametrize("kind", NUMBERS)
def test_the_numbers_have_no_gap(kind: str) -> None:
    numbers = sorted(map(int, NUMBERS[kind]))

    assert numbers == list(range(1, len(numbers) + 1))
