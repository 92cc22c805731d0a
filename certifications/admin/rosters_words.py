"""What is wrong with a roster, in the language of who looks at it.

`certifications/roster_file.py` and `roster_line.py` say it in English, as the command writes it. Here each of their
sentences stands once more, with names where words change, and is looked up in the catalogue.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext, gettext_noop

SENTENCES = (
    # Of a line
    gettext_noop("contains a NUL byte"),
    gettext_noop("contains a control character"),
    gettext_noop("the spreadsheet had no value for this cell, only an error"),
    gettext_noop("longer than %(length)s characters"),
    gettext_noop("unknown language: write %(languages)s or nothing"),
    gettext_noop("unknown certification type: there are %(types)s"),
    gettext_noop("expires before it was issued"),
    gettext_noop("invalid e-mail"),
    gettext_noop("invalid phone number: write it as +4712345678"),
    gettext_noop("ambiguous date format: write YYYY-MM-DD or dd.mm.yyyy"),
    gettext_noop("impossible date"),
    gettext_noop("mentor_ref already used in this file with another name"),
    gettext_noop("corrected by line %(line)s"),
    gettext_noop("a quotation mark is not closed on this line, or text follows it"),
    gettext_noop("has %(cells)s cells, the header has %(width)s"),
    # Of a file
    gettext_noop("%(file)s is empty."),
    gettext_noop("%(file)s is UTF-16 text: save it as “CSV UTF-8” or as XLSX."),
    gettext_noop(
        "%(file)s has no header, or is neither CSV nor XLSX: "
        "the first line must name the columns %(columns)s, with commas or semicolons between."
    ),
    gettext_noop(
        "%(file)s has no header: the first line must name the columns %(columns)s, with commas or semicolons between."
    ),
    gettext_noop("%(file)s lacks columns in its header: %(columns)s."),
    gettext_noop("%(file)s names the column %(column)s twice in its header."),
    gettext_noop(
        "%(file)s is not UTF-8 (line %(line)s), and its encoding is not safe to guess: "
        "save it as “CSV UTF-8” or as XLSX."
    ),
    gettext_noop("%(file)s is not a roster: line %(line)s is longer than %(length)s characters."),
    gettext_noop("%(file)s is a broken XLSX file (%(error)s)."),
    gettext_noop("%(file)s has more than %(lines)s lines: ask operations to import it with the command import_roster."),
    gettext_noop("%(file)s has no lines below its header."),
    gettext_noop("%(file)s is too large when it is unpacked: save only the lines and columns."),
)
# What the desk says in other words: of the command's own options, and where one word means too much.
AT_THE_DESK = {
    "required": gettext_noop("must not be empty"),
    "unknown chapter: create it, or import with --create-chapters": gettext_noop(
        "unknown chapter: create it, or tick “Create the chapters that it names”"
    ),
}


def _pattern(sentence: str) -> re.Pattern[str]:
    """Turn `longer than %(length)s characters` into a pattern that finds the length."""
    named = re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(sentence))
    return re.compile(named, re.DOTALL)


PATTERNS = {sentence: _pattern(sentence) for sentence in SENTENCES}


def in_words(message: str) -> str:
    """Return a message of the import in the language of who asks; one that is not known as it is."""
    if message in AT_THE_DESK:
        return gettext(AT_THE_DESK[message])
    for sentence, pattern in PATTERNS.items():
        if found := pattern.fullmatch(message):
            return gettext(sentence) % found.groupdict()
    return message
