"""A roster that comes in at the desk: kept in the database between its preview and its import, and imported once.

It is read by the code of `manage.py import_roster` and nothing else, from a file without a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from certifications.models import RosterUpload
from certifications.roster import ImportReport, import_roster
from certifications.roster_errors import FileCode, LineError, RosterFileError
from certifications.roster_reader import Cells, Limits
from mentors.conflicts import ConflictError
from mentors.models import Organisation, User
from mentors.validators import in_one_line

# What one request does in good time; more is for the command.
MAX_BYTES = 5_000_000
# So many lines are 12 MB unpacked and three seconds of CPU as XLSX, and two million characters.
LIMITS = Limits(cpu_seconds=8, seconds=15, memory=200_000_000, unpacked=30_000_000, characters=10_000_000, lines=20_000)
KEPT = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class UploadReport:
    """What became of every line of an upload, and the cells of each by its number, none of one that cannot be read."""

    report: ImportReport
    cells: Mapping[int, Cells]


class UploadGone(ConflictError):
    """The file was imported already, or another was uploaded since, or it has waited for too long."""

    code = "upload_gone"
    message = _("The file is not here any more: it was imported, or replaced by another, or has waited for a day.")


@transaction.atomic
def keep_upload(*, user: User, organisation: Organisation, name: str, content: bytes, now: datetime) -> RosterUpload:
    """Keep a file until its user says yes, in the place of the one that waited."""
    RosterUpload.objects.filter(user=user).delete()
    return RosterUpload.objects.create(
        user=user, organisation=organisation, name=in_one_line(name)[:200], content=content, uploaded_at=now
    )


def lock_upload(upload_id: str, *, user: User) -> RosterUpload:
    """Return the file that the user uploaded, locked: of two who import it, the second finds it gone.

    Raises UploadGone.
    """
    uploads = RosterUpload.objects.select_for_update(of=("self",)).select_related("organisation")
    try:
        return uploads.get(pk=UUID(upload_id), user=user)
    except (ValueError, RosterUpload.DoesNotExist):
        raise UploadGone from None


def forget_old_uploads(*, now: datetime) -> int:
    """Remove the files that nobody said yes to within a day; return how many."""
    count, _by_model = RosterUpload.objects.filter(uploaded_at__lt=now - KEPT).delete()
    return count


def import_upload(
    upload: RosterUpload, *, now: datetime, create_chapters: bool, skip_errors: bool, dry_run: bool
) -> UploadReport:
    """Import a file as `import_roster` does. Raises RosterFileError, also if it is more than one request can do."""
    cells: dict[int, Cells] = {}

    def on_line(number: int, line: Cells | LineError) -> None:
        cells[number] = () if isinstance(line, LineError) else line

    try:
        with TemporaryFile() as file:
            file.write(upload.content)
            file.seek(0)
            report = import_roster(
                file,
                organisation=upload.organisation,
                now=now,
                create_chapters=create_chapters,
                skip_errors=skip_errors,
                dry_run=dry_run,
                on_line=on_line,
                limits=LIMITS,
            )
        if not cells:
            raise RosterFileError(FileCode.NO_LINES)
    except RosterFileError as error:
        error.file = upload.name
        raise
    return UploadReport(report=report, cells=cells)
