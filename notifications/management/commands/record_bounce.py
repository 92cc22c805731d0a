"""manage.py record_bounce: takes from a mail server's pipe what comes back."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import CommandError
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from mentors.management.base import NattevaktCommand
from notifications.bounce_reports import LONGEST, read_reports
from notifications.bounces import record_bounce


class Command(NattevaktCommand):
    help = (
        "Read one message from standard input and record which of ours came back."
        ' In a mail server\'s aliases: bounces: "|/path/to/manage.py record_bounce"'
    )

    def handle(self, *args: Any, **options: Any) -> None:
        reports = read_reports(sys.stdin.buffer.read(LONGEST))
        if not reports:
            raise CommandError("Not recorded: this is no delivery status notification (RFC 3464).")
        now = timezone.now()
        try:
            recorded = [record_bounce(report, now=now) for report in reports]
        except (OperationalError, InterfaceError) as error:
            # The one exit code at which a mail server keeps the message and tries again.
            raise CommandError("Not recorded: the database does not answer.", returncode=os.EX_TEMPFAIL) from error
        if not any(recorded):
            raise CommandError("Not recorded: it is about no message that was sent from here, or not to that address.")
        self.stdout.write("Recorded.")
