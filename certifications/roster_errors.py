"""What is wrong with a roster: a code and its parameters, and the sentence made of them when somebody reads it."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class LineCode(TextChoices):
    """What is wrong with a line, or that a later line corrects it; the label is the sentence.

    The desk has its own sentences for those that are not translated.
    """

    REQUIRED = "required", "required"
    NUL_BYTE = "nul_byte", _("contains a NUL byte")
    CONTROL_CHARACTER = "control_character", _("contains a control character")
    SPREADSHEET_ERROR = "spreadsheet_error", _("the spreadsheet had no value for this cell, only an error")
    TOO_LONG = "too_long", _("longer than %(length)s characters")
    UNKNOWN_CHAPTER = "unknown_chapter", "unknown chapter: create it, or import with --create-chapters"
    UNKNOWN_LANGUAGE = "unknown_language", _("unknown language: write %(languages)s or nothing")
    UNKNOWN_TYPE = "unknown_type", _("unknown certification type: there are %(types)s")
    INVALID_EMAIL = "invalid_email", _("invalid e-mail")
    INVALID_PHONE = "invalid_phone", _("invalid phone number: write it as +4712345678")
    AMBIGUOUS_DATE = "ambiguous_date", _("ambiguous date format: write YYYY-MM-DD or dd.mm.yyyy")
    IMPOSSIBLE_DATE = "impossible_date", _("impossible date")
    EXPIRES_TOO_EARLY = "expires_too_early", _("expires before it was issued")
    SECOND_NAME = "second_name", _("mentor_ref already used in this file with another name")
    OPEN_QUOTE = "open_quote", _("a quotation mark is not closed on this line, or text follows it")
    CELL_COUNT = "cell_count", _("has %(cells)s cells, the header has %(width)s")
    CORRECTED = "corrected", _("corrected by line %(line)s")


class LineError(Exception):
    """A line cannot be imported: the column at fault (empty: the line as a whole) and why."""

    def __init__(self, column: str, code: LineCode, **params: object) -> None:
        self.column = column
        self.code = code
        self.params = params
        super().__init__(column, code, params)


class FileCode(TextChoices):
    """Why a file cannot be read as a roster; only the command says what is not translated."""

    NOT_FOUND = "not_found", "There is no file %(file)s."
    FOLDER = "folder", "%(file)s is a folder: name the file."
    NO_REGULAR_FILE = "no_regular_file", "%(file)s is not a regular file: a roster is read twice, so save it first."
    UNREADABLE = "unreadable", "%(file)s cannot be read: %(error)s."
    EMPTY = "empty", _("%(file)s is empty.")
    UTF_16 = "utf_16", _("%(file)s is UTF-16 text: save it as “CSV UTF-8” or as XLSX.")
    UNKNOWN_ENCODING = (
        "unknown_encoding",
        _(
            "%(file)s is not UTF-8 (line %(line)s), and its encoding is not safe to guess: "
            "save it as “CSV UTF-8” or as XLSX."
        ),
    )
    UNKNOWN_FORMAT = (
        "unknown_format",
        _(
            "%(file)s has no header, or is neither CSV nor XLSX: "
            "the first line must name the columns %(columns)s, with commas or semicolons between."
        ),
    )
    NO_HEADER = (
        "no_header",
        _(
            "%(file)s has no header: "
            "the first line must name the columns %(columns)s, with commas or semicolons between."
        ),
    )
    MISSING_COLUMNS = "missing_columns", _("%(file)s lacks columns in its header: %(columns)s.")
    REPEATED_COLUMN = "repeated_column", _("%(file)s names the column %(column)s twice in its header.")
    LONG_LINE = "long_line", _("%(file)s is not a roster: line %(line)s is longer than %(length)s characters.")
    BROKEN_XLSX = "broken_xlsx", _("%(file)s is a broken XLSX file (%(error)s).")
    NO_LINES = "no_lines", _("%(file)s has no lines below its header.")
    TOO_MANY_LINES = (
        "too_many_lines",
        _("%(file)s has more than %(lines)s lines: ask operations to import it with the command import_roster."),
    )
    TOO_LARGE = "too_large", _("%(file)s is too large when it is unpacked: save only the lines and columns.")
    TOO_MANY_ROWS = (
        "too_many_rows",
        _("%(file)s is a broken XLSX file: it has a row after row %(rows)s, where a sheet ends."),
    )
    XML_ENTITIES = (
        "xml_entities",
        _("%(file)s declares XML entities, as no spreadsheet does. Open it, and save it again as XLSX."),
    )
    TOO_COSTLY = (
        "too_costly",
        _("%(file)s takes too much time or memory to read: save only the lines and columns of the roster."),
    )
    UNKNOWN_FAULT = "unknown_fault", _("%(file)s cannot be read. Save it again as “CSV UTF-8” or as XLSX.")


class RosterFileError(Exception):
    """The file cannot be read as a roster; the sentence says why and what to do.

    `file` is what its reader calls the file: whoever opened it sets it.
    """

    file: object = ""

    def __init__(self, code: FileCode, **params: object) -> None:
        self.code = code
        self.params = params
        super().__init__(code, params)

    def __str__(self) -> str:
        return str(self.code.label) % {**self.params, "file": self.file}
