"""The Norwegian words of the glossary are those that coordinators read: each stands in a catalogue."""

from __future__ import annotations

import re

import pytest

from tests.support.processes import PROJECT

ROW = re.compile(r"^\| ([^|]+) \| [^|]+ \| ([^|]*)\|$", re.MULTILINE)
ROWS = [row for row in ROW.findall((PROJECT / "docs" / "glossary.md").read_text(encoding="utf-8")) if row[0] != "word"]
CATALOGUES = " ".join(path.read_text(encoding="utf-8") for path in PROJECT.glob("*/locale/nb/LC_MESSAGES/django.po"))
TRANSLATED = " ".join(re.findall(r'^(?:msgstr(?:\[\d\])? )?"(.*)"$', CATALOGUES, re.MULTILINE)).lower()


@pytest.mark.parametrize(("word", "norwegian"), [row for row in ROWS if row[1].strip() and row[0] != "---"])
def test_the_norwegian_word_is_in_the_translations(word: str, norwegian: str) -> None:
    assert re.search(rf"\b{re.escape(norwegian.strip())}", TRANSLATED), word


def test_no_word_stands_in_the_glossary_twice() -> None:
    words = [word for word, _norwegian in ROWS if word != "---"]

    assert len(words) == len(set(words))
