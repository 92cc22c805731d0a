"""What `make demo` shows: a small organisation, a real worker, one night, the same night again, a renewal."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from rich.table import Table

from certifications.models import Certification
from certifications.recording import renew_certification
from certifications.roster import import_roster
from cronjobs.models import Run
from mentors.management.base import NattevaktCommand
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.channels import CHANNELS, INBOX
from notifications.messages.context import gather, read_notifications
from notifications.messages.render import render_message
from notifications.models import Notification

SAMPLE = Path(settings.BASE_DIR) / "docs" / "sample_roster.csv"
SAMPLE_IS_OF = date(2026, 11, 21)
SECONDS_TO_WAIT = 60


class Command(NattevaktCommand):
    help = "Show a night: import a sample roster, run it through a real worker, and run it again."

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        call_command("migrate", verbosity=0)
        organisation = self._found_an_organisation(now)
        with self._worker():
            self._say("The night, through the worker: pause, resume, remind")
            call_command("nightly", organisation=organisation.slug)
            self._show_messages(organisation)
            self._say("The same night again: everything has been handled")
            call_command("nightly", organisation=organisation.slug)
        self._show_renewal(organisation)
        again = Run.objects.filter(organisation=organisation).latest("created_at")
        if again.items.exists():
            raise CommandError(f"The second run did {again.items.count()} things again.")

    def _found_an_organisation(self, now: datetime) -> Organisation:
        slug = f"demo-{now:%Y%m%d-%H%M%S}"
        self._say(f"An organisation, {slug}, and its roster, {SAMPLE.name}")
        types = ("likepersonkurs:required", "taushetserklaering:required", "forstehjelp", "tegnsprak")
        named = [argument for code in types for argument in ("--type", code)]
        call_command("create_organisation", slug, "--name", "Demo", *named, stdout=self.stdout)
        organisation = Organisation.objects.get(slug=slug)
        # So that its messages leave at whatever hour the demonstration is given.
        organisation.sending_from = organisation.sending_until = time(0)
        organisation.save()
        with _sample_as_of(organisation.local_date(now)) as roster:
            report = import_roster(roster, organisation=organisation, now=now, create_chapters=True)
        self.console().print(f"{report.created} lines imported, {report.errors} errors")
        for chapter in Chapter.objects.filter(organisation=organisation):
            user, _created = User.objects.get_or_create(
                username=f"demo-{chapter.slug}", defaults={"email": f"{chapter.slug}@coordinator.example"}
            )
            CoordinatorRole.objects.create(user=user, organisation=organisation, chapter=chapter)
        return organisation

    @contextmanager
    def _worker(self) -> Iterator[None]:
        """Run a real worker process; its e-mails go to files that are thrown away."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "worker.log"
            with log.open("w") as output:
                worker = subprocess.Popen(
                    [sys.executable, "-m", "celery", "-A", "config", "worker", "-c", "2", "-Q", "night,delivery"],
                    env={**os.environ, "EMAIL_URL": f"file:///{folder}/mail"},
                    stdout=output,
                    stderr=output,
                )
            try:
                deadline = monotonic() + SECONDS_TO_WAIT
                while not current_app.control.ping(timeout=0.5):
                    if worker.poll() is not None or monotonic() > deadline:
                        raise CommandError(f"The worker did not start: {log.read_text()[-500:]}")
                yield
            finally:
                worker.terminate()
                worker.wait(timeout=SECONDS_TO_WAIT)

    def _show_messages(self, organisation: Organisation) -> None:
        messages = Notification.objects.filter(organisation=organisation).exclude(channel=INBOX)
        deadline = monotonic() + SECONDS_TO_WAIT
        while messages.filter(status__in=["queued", "sending"]).exists() and monotonic() < deadline:
            sleep(0.2)
        self._say("The messages that left, and to whom")
        table = Table("to", "channel", "message", "status", box=None, header_style="bold")
        rows = read_notifications().filter(pk__in=messages.values("pk")).order_by("kind", "pk")
        for message in gather(rows, now=timezone.now()):
            row = message.notification
            to = CHANNELS[row.channel].address_of(message.recipient) or "operations"
            table.add_row(to, row.channel, render_message(message).subject, row.status)
        self.console().print(table)

    def _show_renewal(self, organisation: Organisation) -> None:
        paused = Mentor.objects.of(organisation).paused_because_expired().order_by("ref").first()
        if paused is None:
            raise CommandError("The night paused nobody.")
        self._say(f"{paused.name} renews, and is resumed at once")
        today = organisation.local_date(timezone.now())
        lapsed = Certification.objects.lapsed(on=today).filter(mentor=paused).get()
        renew_certification(lapsed, issued_on=today, expires_on=today + timedelta(days=730), now=timezone.now())
        paused.refresh_from_db()
        self.console().print(f"{paused.name} is {paused.status}")

    def _say(self, heading: str) -> None:
        self.console().print(f"\n[bold]── {heading}[/bold]")


@contextmanager
def _sample_as_of(today: date) -> Iterator[Path]:
    """Yield the sample roster with every date moved, so that it is as fresh today as on the day it was written."""
    with SAMPLE.open(encoding="utf-8") as source:
        lines = list(csv.DictReader(source))
    for line in lines:
        for column in ("issued_on", "expires_on"):
            line[column] = str(date.fromisoformat(line[column]) + (today - SAMPLE_IS_OF))
    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
        file.flush()
        yield Path(file.name)
