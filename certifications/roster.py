"""Importing a roster: chapters, mentors and certifications from a file, all or nothing.

1. Each line of the file is checked; the good ones are streamed into a temporary table by COPY.
2. Lines that give a mentor a second name are errors, too. Unless errors are to be skipped, nothing is written then.
3. The mentors that exist are locked in id order.
4. What the file says is compared with what stands: two more temporary tables hold each mentor and each certification
   once, as its last line has it, with the verdict. Only what differs is written, so that an unchanged row gets no new
   version and its history no event.
5. The mentors who renewed are resumed (rule 5), in the same transaction.

Nothing here grows with the file but a few bytes a line for the report. An import never touches a mentor's status,
consent to be listed, or a revocation.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple

from django.db import connection, transaction
from django.db.models.expressions import RawSQL
from django.utils.text import slugify

from certifications.expiry import find_renewed_mentors
from certifications.lapses_on import lock_to_certify
from certifications.mentor_status import resume_renewed
from certifications.models import Certification, CertificationType
from certifications.roster_errors import LineCode, LineError
from certifications.roster_file import BY_COMMAND, RosterFile, open_roster
from certifications.roster_line import Known, RosterLine, parse_line
from certifications.roster_reader import Cells, Limits
from certifications.roster_sql import (
    COMPARE_CERTIFICATIONS,
    COMPARE_MENTORS,
    COPY_LINES,
    CREATE_LINES,
    INSERT_CERTIFICATIONS,
    INSERT_MENTORS,
    REFUSE_SECOND_NAMES,
    SELECT_VERDICTS,
    UPDATE_CERTIFICATIONS,
    UPDATE_MENTORS,
)
from mentors.models import Chapter, Mentor, Organisation

PROGRESS_EVERY = 1000  # lines
ANALYZE_FROM = 100  # written rows
AHEAD = 1000  # rows
# The first half of a pair of advisory lock numbers; the second is the organisation.
ROSTER_LOCK = 0x4E56

Note = tuple[str, LineCode, Mapping[str, object]]  # a column or nothing, a code and its parameters
Progress = Callable[[str, int, int], None]  # the step, how much of it is done, of how much
OnLine = Callable[[int, Cells | LineError], None]  # its number and its cells, as the file has them


class LineVerdict(NamedTuple):
    """What becomes of a line; if there is more to say, a code with its parameters, and the column that it is about."""

    line: int
    verdict: str
    column: str = ""
    code: LineCode | None = None
    params: Mapping[str, object] = MappingProxyType({})

    @property
    def message(self) -> str:
        """What the code says, in the language of who reads it."""
        return str(self.code.label) % self.params if self.code else ""


@dataclass(frozen=True)
class LineVerdicts:
    """The verdict of every line in the order of the file, a few bytes each."""

    VERDICTS = ("created", "updated", "unchanged", "error")

    _lines: array[int] = field(default_factory=lambda: array("L"))
    _verdicts: bytearray = field(default_factory=bytearray)
    _notes: dict[int, Note] = field(default_factory=dict)

    def add(self, line: int, verdict: str, note: Note | None) -> None:
        self._lines.append(line)
        self._verdicts.append(self.VERDICTS.index(verdict))
        if note:
            self._notes[line] = note

    def count(self, verdict: str) -> int:
        return self._verdicts.count(self.VERDICTS.index(verdict))

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[LineVerdict]:
        for line, verdict in zip(self._lines, self._verdicts, strict=True):
            yield LineVerdict(line, self.VERDICTS[verdict], *self._notes.get(line, ()))


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of every line, or what would have, if nothing was imported."""

    lines: LineVerdicts
    imported: bool
    ignored_columns: tuple[str, ...]
    resumed: int  # mentors; if nothing was imported, who would be

    @property
    def created(self) -> int:
        return self.lines.count("created")

    @property
    def updated(self) -> int:
        return self.lines.count("updated")

    @property
    def unchanged(self) -> int:
        return self.lines.count("unchanged")

    @property
    def errors(self) -> int:
        return self.lines.count("error")


def import_roster(
    file: Path | IO[bytes],
    *,
    organisation: Organisation,
    now: datetime,
    create_chapters: bool = False,
    skip_errors: bool = False,
    dry_run: bool = False,
    on_progress: Progress | None = None,
    on_line: OnLine | None = None,
    limits: Limits = BY_COMMAND,
) -> ImportReport:
    """Import a roster and report every line; with errors, only if they are to be skipped.

    A mentor is known by (organisation, ref), a certification by (mentor, type, number, issued_on); the last line of
    a key counts. Raises RosterFileError if the file cannot be read.
    """
    merge = _Merge(
        organisation=organisation,
        now=now,
        on_progress=on_progress or _nobody_watches,
        on_line=on_line or _nobody_watches,
    )
    with transaction.atomic():
        with open_roster(file, limits=limits) as roster:
            errors = merge.load(roster, create_chapters=create_chapters)
        errors |= merge.refuse_second_names()
        importing = not dry_run and (skip_errors or not errors)
        resumed = merge.write(create_chapters=create_chapters, resume=importing)
        report = ImportReport(
            lines=_collect_verdicts(errors),
            imported=importing,
            ignored_columns=roster.ignored_columns,
            resumed=resumed,
        )
        if not importing:
            transaction.set_rollback(True)
    if importing and report.created + report.updated >= ANALYZE_FROM:
        _analyze()
    return report


def _nobody_watches(*_args: object) -> None:
    pass


STATEMENTS = (COMPARE_MENTORS, UPDATE_MENTORS, INSERT_MENTORS, COMPARE_CERTIFICATIONS, UPDATE_CERTIFICATIONS)


@dataclass(frozen=True, kw_only=True)
class _Merge:
    """The statements of one import, inside its transaction."""

    organisation: Organisation
    now: datetime
    on_progress: Progress
    on_line: OnLine

    def load(self, roster: RosterFile, *, create_chapters: bool) -> dict[int, Note]:
        """Stream the good lines into `roster_line`; return what is wrong with the others."""
        types = CertificationType.objects.filter(organisation=self.organisation)
        known = Known(
            chapters=None if create_chapters else set(self.organisation.chapters.values_list("name", flat=True)),
            types=dict(types.values_list("code", "pk")),
            language=self.organisation.language,
        )
        errors: dict[int, Note] = {}
        with connection.cursor() as cursor:
            cursor.execute(CREATE_LINES)
            with cursor.copy(COPY_LINES) as copy:
                for number, line in self._parse(roster, known):
                    if isinstance(line, LineError):
                        errors[number] = (line.column, line.code, line.params)  # without its traceback
                    else:
                        copy.write_row((number, *line))
            cursor.execute("ANALYZE pg_temp.roster_line")
        return errors

    def _parse(self, roster: RosterFile, known: Known) -> Iterator[tuple[int, RosterLine | LineError]]:
        for count, (number, cells) in enumerate(roster.lines, 1):
            self.on_line(number, cells)
            try:
                yield number, cells if isinstance(cells, LineError) else parse_line(cells, known=known)
            except LineError as error:
                yield number, error
            if count % PROGRESS_EVERY == 0:
                self.on_progress("reading", count, max(count, roster.estimated_lines))
        self.on_progress("reading", roster.estimated_lines, roster.estimated_lines)

    def refuse_second_names(self) -> dict[int, Note]:
        with connection.cursor() as cursor:
            cursor.execute(REFUSE_SECOND_NAMES)
            lines = [line for (line,) in cursor.fetchall()]
        return dict.fromkeys(lines, ("name", LineCode.SECOND_NAME, {}))

    def write(self, *, create_chapters: bool, resume: bool) -> int:
        """Write what differs; return how many mentors were resumed, or else would be."""
        steps = len(STATEMENTS) + 3
        self.on_progress("writing", 0, steps)
        self._lock_mentors()
        self.on_progress("writing", 1, steps)
        if create_chapters:
            _create_chapters(self.organisation)
        for done, statement in enumerate(STATEMENTS, 2):
            self._execute(statement)
            self.on_progress("writing", done, steps)
        self._insert_certifications()
        self.on_progress("writing", steps - 1, steps)
        resumed = self._resume_renewed(resume=resume)
        self.on_progress("writing", steps, steps)
        return resumed

    def _lock_mentors(self) -> None:
        """Let imports into one organisation pass one by one, then lock the mentors that the file names."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [ROSTER_LOCK, self.organisation.pk % 2**31])
        named = Mentor.objects.of(self.organisation).filter(ref__in=RawSQL("SELECT ref FROM pg_temp.roster_line", ()))
        for _pk in lock_to_certify(named).values_list("pk").iterator():
            pass

    def _insert_certifications(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_temp.roster_certification WHERE verdict = 'created'")
            many = cursor.fetchone()[0] >= ANALYZE_FROM
        if many:
            # The trigger that keeps `lapses_on` asks for each mentor's certifications: of a table never analyzed, the
            # planner would have it read them all. So a few go in ahead; the second time they are not written.
            self._execute(INSERT_CERTIFICATIONS, limit=AHEAD)
            _analyze()
        self._execute(INSERT_CERTIFICATIONS)

    def _execute(self, statement: str, *, limit: int | None = None) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"organisation": self.organisation.pk, "now": self.now, "limit": limit})

    def _resume_renewed(self, *, resume: bool) -> int:
        """Resume those who renewed, or only find them; return how many they are."""
        changed = RawSQL("SELECT mentor_id FROM pg_temp.roster_certification WHERE verdict <> 'unchanged'", ())
        paused = Mentor.objects.paused_because_expired().filter(pk__in=changed).values_list("pk", flat=True)
        if not resume:
            on = self.organisation.local_date(self.now)
            renewed = find_renewed_mentors(organisation=self.organisation, on=on, now=self.now, mentor_ids=list(paused))
            return sum(not row["codes"] for row in renewed)
        return len(resume_renewed(organisation=self.organisation, mentor_ids=list(paused), now=self.now))


def _collect_verdicts(errors: dict[int, Note]) -> LineVerdicts:
    verdicts = LineVerdicts()
    wrong = ((line, "error", errors[line]) for line in sorted(errors))
    for verdict in heapq.merge(wrong, _select_verdicts()):
        verdicts.add(*verdict)
    return verdicts


def _select_verdicts() -> Iterator[tuple[int, str, Note | None]]:
    cursor: Any
    with connection.chunked_cursor() as cursor:
        cursor.execute(SELECT_VERDICTS)
        while rows := cursor.fetchmany(2000):
            for line, verdict, column, corrected_by in rows:
                yield line, verdict, (column, LineCode.CORRECTED, {"line": corrected_by}) if corrected_by else None


def _create_chapters(organisation: Organisation) -> None:
    """Create the chapters that the file names and the organisation lacks, by name order."""
    existing = dict(organisation.chapters.values_list("name", "slug"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT chapter FROM pg_temp.roster_line ORDER BY chapter")
        names = [name for (name,) in cursor.fetchall() if name not in existing]
    slugs = set(existing.values())
    chapters = []
    for name in names:
        slug = _free_slug(name, slugs)
        slugs.add(slug)
        chapters.append(Chapter(organisation=organisation, name=name, slug=slug))
    # Somebody may have created one of them just now.
    Chapter.objects.bulk_create(chapters, ignore_conflicts=True)


# The letters that Unicode does not take apart, so that slugify would leave them out.
LETTERS = str.maketrans({"æ": "ae", "ø": "o", "å": "a", "đ": "d", "ŋ": "n", "ŧ": "t", "ð": "d", "þ": "th", "ß": "ss"})


def _free_slug(name: str, taken: set[str]) -> str:
    slug = slugify(name.lower().translate(LETTERS))[:190] or "chapter"
    number = 1
    candidate = slug
    while candidate in taken:
        number += 1
        candidate = f"{slug}-{number}"
    return candidate


def _analyze() -> None:
    """Tell the planner at once; until autovacuum came by, everything would be planned for the tables of before."""
    tables = ", ".join(model._meta.db_table for model in (Mentor, Certification, Chapter))
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {tables}")
