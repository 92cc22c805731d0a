"""What is wrong with a roster, in the language of who looks at it.

`certifications/roster_file.py` and `roster_line.py` say it in English, as the command writes it. Here each of their
sentences stands once more, with names where words change.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from certifications.admin.rosters_phrases import Phrase, read

PHRASES = (
    # Of a line
    Phrase(_("contains a NUL byte")),
    Phrase(_("contains a control character")),
    Phrase(_("the spreadsheet had no value for this cell, only an error")),
    Phrase(_("longer than %(length)s characters")),
    Phrase(_("unknown language: write %(languages)s or nothing")),
    Phrase(_("unknown certification type: there are %(types)s")),
    Phrase(_("expires before it was issued")),
    Phrase(_("invalid e-mail")),
    Phrase(_("invalid phone number: write it as +4712345678")),
    Phrase(_("ambiguous date format: write YYYY-MM-DD or dd.mm.yyyy")),
    Phrase(_("impossible date")),
    Phrase(_("mentor_ref already used in this file with another name")),
    Phrase(_("corrected by line %(line)s")),
    Phrase(_("a quotation mark is not closed on this line, or text follows it")),
    Phrase(_("has %(cells)s cells, the header has %(width)s")),
    # Of a file
    Phrase(_("%(file)s is empty.")),
    Phrase(_("%(file)s is UTF-16 text: save it as “CSV UTF-8” or as XLSX.")),
    Phrase(
        _(
            "%(file)s has no header, or is neither CSV nor XLSX: "
            "the first line must name the columns %(columns)s, with commas or semicolons between."
        )
    ),
    Phrase(
        _(
            "%(file)s has no header: "
            "the first line must name the columns %(columns)s, with commas or semicolons between."
        )
    ),
    Phrase(_("%(file)s lacks columns in its header: %(columns)s.")),
    Phrase(_("%(file)s names the column %(column)s twice in its header.")),
    Phrase(
        _(
            "%(file)s is not UTF-8 (line %(line)s), and its encoding is not safe to guess: "
            "save it as “CSV UTF-8” or as XLSX."
        )
    ),
    Phrase(_("%(file)s is not a roster: line %(line)s is longer than %(length)s characters.")),
    Phrase(_("%(file)s is a broken XLSX file (%(error)s).")),
    Phrase(_("%(file)s has more than %(lines)s lines: ask operations to import it with the command import_roster.")),
    Phrase(_("%(file)s has no lines below its header.")),
    Phrase(_("%(file)s is too large when it is unpacked: save only the lines and columns.")),
    # What the desk says in other words: of the command's own options, and where one word means too much.
    Phrase("required", _("must not be empty")),
    Phrase(
        "unknown chapter: create it, or import with --create-chapters",
        _("unknown chapter: create it, or tick “Create the chapters that it names”"),
    ),
)


def in_words(message: str) -> str:
    """Return a message of the import in the language of who asks; one that is not known as it is."""
    return read(message, PHRASES)
