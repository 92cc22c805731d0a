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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models.expressions import RawSQL
from django.utils.text import slugify

from certifications.models import Certification, CertificationType
from certifications.roster_file import LineError, RosterFile, open_roster
from certifications.roster_line import Known, RosterLine, parse_line
from certifications.standing import resume_renewed
from mentors.models import Chapter, Mentor, Organisation

PROGRESS_EVERY = 1000  # lines
ANALYZE_FROM = 5000  # written rows
# The first half of a pair of advisory lock numbers; the second is the organisation.
ROSTER_LOCK = 0x4E56

Note = tuple[str, str]  # a column, or nothing, and a message
Progress = Callable[[str, int, int], None]  # the step, how much of it is done, of how much


class LineVerdict(NamedTuple):
    line: int
    verdict: str
    column: str
    message: str


@dataclass(frozen=True)
class LineVerdicts:
    """The verdict of every line in the order of the file, a few bytes each."""

    CODES = ("created", "updated", "unchanged", "error")

    _lines: array[int] = field(default_factory=lambda: array("L"))
    _codes: bytearray = field(default_factory=bytearray)
    _notes: dict[int, Note] = field(default_factory=dict)  # column and message

    def add(self, line: int, verdict: str, column: str, message: str) -> None:
        self._lines.append(line)
        self._codes.append(self.CODES.index(verdict))
        if message:
            self._notes[line] = (column, message)

    def count(self, verdict: str) -> int:
        return self._codes.count(self.CODES.index(verdict))

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[LineVerdict]:
        for line, code in zip(self._lines, self._codes, strict=True):
            yield LineVerdict(line, self.CODES[code], *self._notes.get(line, ("", "")))


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What became of every line, or what would have, if nothing was imported."""

    lines: LineVerdicts
    imported: bool
    ignored_columns: tuple[str, ...]
    resumed: int  # mentors

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
    file: Path,
    *,
    organisation: Organisation,
    now: datetime,
    create_chapters: bool = False,
    skip_errors: bool = False,
    dry_run: bool = False,
    on_progress: Progress | None = None,
) -> ImportReport:
    """Import a roster and report every line; with errors, only if they are to be skipped.

    A mentor is known by (organisation, ref), a certification by (mentor, type, number, issued_on); the last line of
    a key counts. Raises RosterFileError if the file cannot be read.
    """
    merge = _Merge(organisation=organisation, now=now, on_progress=on_progress or _no_progress)
    with transaction.atomic():
        with open_roster(file) as roster:
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


def _no_progress(_step: str, _done: int, _total: int) -> None:
    """Nobody watches."""


CREATE_LINES = """
    DROP TABLE IF EXISTS pg_temp.roster_line, pg_temp.roster_mentor, pg_temp.roster_certification;
    CREATE TEMPORARY TABLE roster_line (
        line integer NOT NULL, chapter text NOT NULL, ref text NOT NULL, name text NOT NULL, email text NOT NULL,
        phone text NOT NULL, language text NOT NULL, type_id bigint NOT NULL, number text NOT NULL,
        issued_on date NOT NULL, expires_on date
    ) ON COMMIT DROP
"""
COPY_LINES = "COPY pg_temp.roster_line FROM STDIN"

REFUSE_SECOND_NAMES = """
    DELETE FROM pg_temp.roster_line
    USING (
        SELECT line, name <> first_value(name) OVER (PARTITION BY ref ORDER BY line) AS differs
        FROM pg_temp.roster_line
    ) named
    WHERE named.line = roster_line.line AND named.differs
    RETURNING roster_line.line
"""

# A row for each mentor, as the last line has it.
COMPARE_MENTORS = """
    CREATE TEMPORARY TABLE roster_mentor ON COMMIT DROP AS
    SELECT last.*, chapter.id AS chapter_id, CASE
        WHEN mentor.id IS NULL THEN 'created'
        WHEN (mentor.chapter_id, mentor.name, mentor.email, mentor.phone, mentor.language)
            IS DISTINCT FROM (chapter.id, last.name, last.email, last.phone, last.language) THEN 'updated'
        ELSE 'unchanged'
    END AS verdict
    FROM (
        SELECT DISTINCT ON (ref) line, ref, chapter, name, email, phone, language
        FROM pg_temp.roster_line ORDER BY ref, line DESC
    ) last
    LEFT JOIN mentors_chapter chapter ON chapter.organisation_id = %(organisation)s AND chapter.name = last.chapter
    LEFT JOIN mentors_mentor mentor ON mentor.organisation_id = %(organisation)s AND mentor.ref = last.ref
"""

UPDATE_MENTORS = """
    UPDATE mentors_mentor mentor
    SET chapter_id = roster.chapter_id, name = roster.name, email = roster.email, phone = roster.phone,
        language = roster.language, updated_at = %(now)s
    FROM pg_temp.roster_mentor roster
    WHERE roster.verdict = 'updated' AND mentor.organisation_id = %(organisation)s AND mentor.ref = roster.ref
"""

# The conflict: somebody else enrolled the same mentor since the comparison.
INSERT_MENTORS = """
    INSERT INTO mentors_mentor AS mentor (
        organisation_id, chapter_id, ref, name, email, phone, language, status, pause_reason, listed,
        created_at, updated_at
    )
    SELECT %(organisation)s, chapter_id, ref, name, email, phone, language, 'active', '', true, %(now)s, %(now)s
    FROM pg_temp.roster_mentor WHERE verdict = 'created' ORDER BY ref
    ON CONFLICT (organisation_id, ref) DO UPDATE
    SET chapter_id = excluded.chapter_id, name = excluded.name, email = excluded.email, phone = excluded.phone,
        language = excluded.language, updated_at = excluded.updated_at
    WHERE (mentor.chapter_id, mentor.name, mentor.email, mentor.phone, mentor.language)
        IS DISTINCT FROM (excluded.chapter_id, excluded.name, excluded.email, excluded.phone, excluded.language)
"""

# A row for each certification, as the last line has it.
COMPARE_CERTIFICATIONS = """
    CREATE TEMPORARY TABLE roster_certification ON COMMIT DROP AS
    SELECT last.*, mentor.id AS mentor_id, certification.id AS certification_id, CASE
        WHEN certification.id IS NULL THEN 'created'
        WHEN certification.expires_on IS DISTINCT FROM last.expires_on THEN 'updated'
        ELSE 'unchanged'
    END AS verdict
    FROM (
        SELECT DISTINCT ON (ref, type_id, number, issued_on) line, ref, type_id, number, issued_on, expires_on
        FROM pg_temp.roster_line ORDER BY ref, type_id, number, issued_on, line DESC
    ) last
    JOIN mentors_mentor mentor ON mentor.organisation_id = %(organisation)s AND mentor.ref = last.ref
    LEFT JOIN certifications_certification certification
        ON certification.mentor_id = mentor.id AND certification.type_id = last.type_id
        AND certification.number = last.number AND certification.issued_on = last.issued_on
"""

UPDATE_CERTIFICATIONS = """
    UPDATE certifications_certification certification
    SET expires_on = roster.expires_on, updated_at = %(now)s
    FROM pg_temp.roster_certification roster
    WHERE roster.verdict = 'updated' AND certification.id = roster.certification_id
"""

INSERT_CERTIFICATIONS = """
    INSERT INTO certifications_certification AS certification (
        mentor_id, type_id, number, issued_on, expires_on, revoked_reason, created_at, updated_at
    )
    SELECT mentor_id, type_id, number, issued_on, expires_on, '', %(now)s, %(now)s
    FROM pg_temp.roster_certification WHERE verdict = 'created' ORDER BY mentor_id, line
    ON CONFLICT (mentor_id, type_id, number, issued_on) DO UPDATE
    SET expires_on = excluded.expires_on, updated_at = excluded.updated_at
    WHERE certification.expires_on IS DISTINCT FROM excluded.expires_on
"""

SELECT_VERDICTS = """
    SELECT line.line,
        CASE
            WHEN certification.line <> line.line THEN 'unchanged'
            WHEN 'created' IN (certification.verdict, mentor.verdict) THEN 'created'
            WHEN 'updated' IN (certification.verdict, mentor.verdict) THEN 'updated'
            ELSE 'unchanged'
        END,
        CASE
            WHEN certification.expires_on IS DISTINCT FROM line.expires_on THEN 'expires_on'
            WHEN mentor.chapter <> line.chapter THEN 'chapter'
            WHEN mentor.email <> line.email THEN 'email'
            WHEN mentor.phone <> line.phone THEN 'phone'
            WHEN mentor.language <> line.language THEN 'language'
            ELSE ''
        END,
        CASE
            WHEN certification.line <> line.line THEN 'corrected by line ' || certification.line
            WHEN (mentor.chapter, mentor.email, mentor.phone, mentor.language)
                <> (line.chapter, line.email, line.phone, line.language) THEN 'corrected by line ' || mentor.line
            ELSE ''
        END
    FROM pg_temp.roster_line line
    JOIN pg_temp.roster_mentor mentor ON mentor.ref = line.ref
    JOIN pg_temp.roster_certification certification
        ON certification.ref = line.ref AND certification.type_id = line.type_id
        AND certification.number = line.number AND certification.issued_on = line.issued_on
    ORDER BY line.line
"""

WRITES = (UPDATE_MENTORS, INSERT_MENTORS, COMPARE_CERTIFICATIONS, UPDATE_CERTIFICATIONS, INSERT_CERTIFICATIONS)


@dataclass(frozen=True, kw_only=True)
class _Merge:
    """The statements of one import, inside its transaction."""

    organisation: Organisation
    now: datetime
    on_progress: Progress

    def load(self, roster: RosterFile, *, create_chapters: bool) -> dict[int, Note]:
        """Stream the good lines into `roster_line`; return what is wrong with the others."""
        known = _look_up_known(self.organisation, create_chapters=create_chapters)
        errors: dict[int, Note] = {}
        with connection.cursor() as cursor:
            cursor.execute(CREATE_LINES)
            with cursor.copy(COPY_LINES) as copy:
                for number, line in self._parse(roster, known):
                    if isinstance(line, LineError):
                        errors[number] = (line.column, line.message)  # without its traceback
                    else:
                        copy.write_row((number, *line))
            cursor.execute("ANALYZE pg_temp.roster_line")
        return errors

    def _parse(self, roster: RosterFile, known: Known) -> Iterator[tuple[int, RosterLine | LineError]]:
        for count, (number, cells) in enumerate(roster.lines, 1):
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
        return dict.fromkeys(lines, ("name", "mentor_ref already used in this file with another name"))

    def write(self, *, create_chapters: bool, resume: bool) -> int:
        """Write what differs; return how many mentors were resumed."""
        steps = len(WRITES) + 3
        self.on_progress("writing", 0, steps)
        self._lock_mentors()
        self.on_progress("writing", 1, steps)
        if create_chapters:
            _create_chapters(self.organisation)
        for done, statement in enumerate((COMPARE_MENTORS, *WRITES), 2):
            self._execute(statement)
            self.on_progress("writing", done, steps)
        resumed = self._resume_renewed() if resume else 0
        self.on_progress("writing", steps, steps)
        return resumed

    def _lock_mentors(self) -> None:
        """Let imports into one organisation pass one by one, then lock the mentors that the file names."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [ROSTER_LOCK, self.organisation.pk % 2**31])
        named = Mentor.objects.of(self.organisation).filter(ref__in=RawSQL("SELECT ref FROM pg_temp.roster_line", ()))
        for _pk in named.locked().values_list("pk").iterator():
            pass

    def _execute(self, statement: str) -> None:
        with connection.cursor() as cursor:
            # The history triggers join the old rows to the new ones, and keep the plan that suited the first statement
            # of the session: made for a handful of rows, it would compare each with each.
            cursor.execute("DISCARD PLANS")
            cursor.execute(statement, {"organisation": self.organisation.pk, "now": self.now})

    def _resume_renewed(self) -> int:
        changed = RawSQL("SELECT mentor_id FROM pg_temp.roster_certification WHERE verdict <> 'unchanged'", ())
        paused = Mentor.objects.paused_because_expired().filter(pk__in=changed).values_list("pk", flat=True)
        return len(resume_renewed(organisation=self.organisation, mentor_ids=list(paused), now=self.now))


def _look_up_known(organisation: Organisation, *, create_chapters: bool) -> Known:
    types = CertificationType.objects.filter(organisation=organisation)
    return Known(
        chapters=None if create_chapters else set(organisation.chapters.values_list("name", flat=True)),
        types=dict(types.values_list("code", "pk")),
        language=organisation.language,
    )


def _collect_verdicts(errors: dict[int, Note]) -> LineVerdicts:
    verdicts = LineVerdicts()
    wrong = ((line, "error", *errors[line]) for line in sorted(errors))
    for verdict in heapq.merge(wrong, _select_verdicts()):
        verdicts.add(*verdict)
    return verdicts


def _select_verdicts() -> Iterable[tuple[int, str, str, str]]:
    cursor: Any
    with connection.chunked_cursor() as cursor:
        cursor.execute(SELECT_VERDICTS)
        while rows := cursor.fetchmany(2000):
            yield from rows


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
    """Tell the planner at once; until autovacuum came by, the night would be planned for empty tables."""
    tables = ", ".join(model._meta.db_table for model in (Mentor, Certification, Chapter))
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {tables}")
