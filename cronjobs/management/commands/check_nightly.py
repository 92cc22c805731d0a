"""Is everything in order? Asked by cron, Nagios or a person: `manage.py check_nightly`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from cronjobs.models import NEWEST_FIRST, Incident, Run
from cronjobs.monitoring import alerts
from cronjobs.monitoring.problems import NightStatus, Problem, find_problems, last_nights
from mentors.management.base import NattevaktCommand

NAGIOS_OK, NAGIOS_WARNING, NAGIOS_CRITICAL, NAGIOS_UNKNOWN = range(4)


class Command(NattevaktCommand):
    help = "Say whether every night was closed green in time, and nothing else is wrong. It needs no Redis."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_format(parser)
        parser.add_argument(
            "--nagios",
            action="store_true",
            help="one line for Nagios: 0 all is well, 1 something else is wrong, 2 a night is, 3 no database answers",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if options["nagios"]:
            self._for_nagios(now=now)
            return
        nights, problems, proofs = last_nights(now=now), _other_problems(now=now), alerts.last_proofs()
        if options["format"] == "json":
            self.write_json(_as_document(nights, problems, proofs))
        else:
            self._write_lines(nights, problems, proofs)
        problems_found = sum(bool(night.fault) for night in nights) + len(problems)
        if problems_found:
            raise CommandError(f"Not in order: {problems_found} of what was looked at.")

    def _write_lines(self, nights: list[NightStatus], problems: list[Problem], proofs: dict[str, datetime]) -> None:
        for night in nights:
            slot = f"{night.slot:%Y-%m-%d %H:%M} UTC" if night.slot else "no slot yet"
            run = f" (run {night.run.pk})" if night.run else ""
            self.stdout.write(f"{night.organisation} {night.job}, {slot}: {night.fault or 'in order'}{run}")
        if not nights:
            self.stdout.write("There is no schedule yet.")
        for problem in problems:
            self.stdout.write(_summary(problem))
        for route, proved_at in _proofs(proofs).items():
            when = f"last got through at {proved_at:%Y-%m-%d %H:%M} UTC" if proved_at else "has never got through"
            self.stdout.write(f"Alarm by {route}: {when}")

    def _for_nagios(self, *, now: datetime) -> None:
        """Write one line, and exit as Nagios reads it."""
        try:
            nights, problems = last_nights(now=now), _other_problems(now=now)
            green = Run.objects.real().filter(cron_job__enabled=True, status=Run.Status.SUCCEEDED)
            newest = list(green.order_by("cron_job_id", *NEWEST_FIRST).distinct("cron_job_id"))
        except (DatabaseError, InterfaceError) as error:
            self.stdout.write("NATTEVAKT UNKNOWN - the database does not answer")
            raise SystemExit(NAGIOS_UNKNOWN) from error
        # How many seconds ago the last green run of each job was closed.
        ages = {run.cron_job_id: int((now - run.finished_at).total_seconds()) for run in newest if run.finished_at}
        faults = [f"{night.organisation} {night.job}: {night.fault}" for night in nights if night.fault]
        others = [str(problem.title) for problem in problems]
        code = NAGIOS_CRITICAL if faults else NAGIOS_WARNING if others else NAGIOS_OK
        said = "; ".join(faults + others) or f"{len(nights)} night{'' if len(nights) == 1 else 's'} in order"
        data = " ".join(
            f"'{_label(night)}'={ages[night.cron_job.pk]}s" for night in nights if night.cron_job.pk in ages
        )
        word = ("OK", "WARNING", "CRITICAL")[code]
        self.stdout.write(f"NATTEVAKT {word} - {said.replace('|', '/')}" + (f" | {data}" if data else ""))
        if code:
            raise SystemExit(code)


def _other_problems(*, now: datetime) -> list[Problem]:
    """Return what is wrong besides the last nights, which have lines of their own."""
    found = find_problems(now=now)
    return [problem for problem in found if problem.kind != Incident.Kind.NIGHT or problem.slot is None]


def _summary(problem: Problem) -> str:
    return f"{problem.title}: {problem.details}"


def _proofs(proofs: dict[str, datetime]) -> dict[str, datetime | None]:
    """Return when each route that there is now last got through."""
    return {route.name: proofs.get(route.name) for route in alerts.routes()}


def _label(night: NightStatus) -> str:
    """Return a label that Nagios takes: in quotes, and with neither a quote nor an equals sign."""
    return f"{night.organisation} {night.job}".replace("'", " ").replace("=", " ").replace("|", " ")


def _as_document(nights: list[NightStatus], problems: list[Problem], proofs: dict[str, datetime]) -> dict[str, Any]:
    return {
        "in_order": not problems and not any(night.fault for night in nights),
        "jobs": [
            {
                "organisation": night.organisation,
                "job": night.job,
                "slot": night.slot,
                "run_id": night.run.pk if night.run else None,
                "fault": str(night.fault),
            }
            for night in nights
        ],
        "problems": [
            {
                "kind": problem.kind,
                "key": problem.key,
                "summary": _summary(problem),
                "began_at": problem.began_at,
            }
            for problem in problems
        ],
        "alarm_last_got_through": _proofs(proofs),
    }
