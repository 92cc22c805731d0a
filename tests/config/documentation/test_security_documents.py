"""The threat model and the table of ASVS name what is there, and the table leaves no requirement out."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.support.processes import PROJECT

DOCUMENTS = ("SECURITY.md", "docs/threat-model.md", "docs/asvs.md")
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|Dockerfile|Makefile|[\w-]+\.(?:toml|yml|txt))`")
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| .+ \| (met|partly|not met|n/a) \| (.*) \| (.*) \|$", re.MULTILINE)
# How many requirements OWASP ASVS 4.0.3 has at levels 1 and 2, by chapter
LEVEL_2 = {1: 38, 2: 54, 3: 18, 4: 9, 5: 30, 6: 13, 7: 12, 8: 15, 9: 7, 10: 5, 11: 8, 12: 15, 13: 13, 14: 23}
ASVS = (PROJECT / "docs" / "asvs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_and_test_that_is_named_exists(document: str) -> None:
    paths = PATH.findall((PROJECT / document).read_text(encoding="utf-8"))

    assert paths or document == "SECURITY.md"
    assert [path for path in paths if not (PROJECT / path).exists()] == []


def test_the_table_has_every_requirement_of_its_level_once() -> None:
    numbers = Counter(row[0] for row in ROW.findall(ASVS))

    assert numbers.most_common(1)[0][1] == 1
    assert Counter(int(number.partition(".")[0]) for number in numbers) == LEVEL_2


def test_every_row_is_one_of_the_table() -> None:
    assert len(re.findall(r"^\| \d", ASVS, re.MULTILINE)) == len(ROW.findall(ASVS))


def test_what_is_met_says_where_and_what_is_not_says_why() -> None:
    silent = [number for number, _state, where, _test in ROW.findall(ASVS) if len(where) < 4]

    assert silent == []
