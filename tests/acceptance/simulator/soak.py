"""The simulator from outside: the whole service, with real processes, mail and time, and faults at random.

    python -m tests.acceptance.simulator.soak [--minutes 10] [--seed 1]

Two workers, two beats, the watchdog and web work for two organisations, with a night every two minutes. From a seed
come changes by the API, by imports and by SQL, and what fails: processes are killed and frozen, Redis is restarted and
emptied, PostgreSQL loses its connections and is restarted, mail is refused, hangs and is cut off. When the time is up
everything is mended, a last night comes, and what is left is judged by the model of the simulator. Prints what held and
what did not; ends with 1 if anything did not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import psutil
import psycopg
import redis
import requests

from tests.acceptance.simulator.facts import read_state
from tests.acceptance.simulator.judge import Violation, judge_state
from tests.support.clock import MovedClock
from tests.support.fleet import COMMANDS, ROSTER, TYPES, Fleet, servers
from tests.support.mail import CLOSE, HANG, SILENT, MailServer, mail_server
from tests.support.model import State
from tests.support.processes import running

ZONES = {"oslo": "Europe/Oslo", "auckland": "Pacific/Auckland"}
PARTS = ("worker", "worker-2", "beat", "beat-2", "watchdog")
EVERY_TWO_MINUTES = "*/2 * * * *"
PATIENCE = 600.0
SETUP = f"""
from datetime import time
from django.utils import timezone
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, CoordinatorRole, Organisation, User
User.objects.create_superuser("root")
for organisation in Organisation.objects.all():
    schedule_nightly_run(organisation=organisation, now=timezone.now(), cron_expression="{EVERY_TWO_MINUTES}")
    for chapter in [None, *organisation.chapters.all()]:
        name = f"{{organisation.slug}}-{{chapter and chapter.pk}}"
        user = User.objects.create(username=name, email=f"{{name}}@example.org")
        CoordinatorRole.objects.create(user=user, organisation=organisation, chapter=chapter)
Organisation.objects.update(sending_from=time(0), sending_until=time(0), brake_minimum=100000)
"""
SWITCH_OFF = """
from django.utils import timezone
from cronjobs.models import CronJob
from cronjobs.schedules.jobs import change_cron_job
for job in CronJob.objects.all():
    change_cron_job(job, now=timezone.now(), enabled=False, pause_note="The soak is over.")
"""


CHANGE_EXPIRY = """
    UPDATE certifications_certification SET expires_on = greatest(issued_on, current_date + %(days)s)
    WHERE id = %(certification)s
"""
GIVE_GRACE = """
    UPDATE certifications_certificationtype SET grace_days = abs(%(days)s) %% 11
    WHERE id = (SELECT type_id FROM certifications_certification WHERE id = %(certification)s)
"""
REQUIRE = """
    UPDATE certifications_certificationtype SET required = NOT required
    WHERE id = (SELECT type_id FROM certifications_certification WHERE id = %(certification)s)
"""
EXPIRY_DAY = """
    UPDATE mentors_organisation SET valid_through_expiry_day = NOT valid_through_expiry_day
    WHERE id = (SELECT organisation_id FROM mentors_mentor WHERE id = %(mentor)s)
"""
LEAVE = """
    UPDATE mentors_user SET is_active = NOT is_active WHERE id = (
        SELECT user_id FROM mentors_coordinatorrole
        WHERE chapter_id = (SELECT chapter_id FROM mentors_mentor WHERE id = %(mentor)s)
    )
"""
BY_SQL = [CHANGE_EXPIRY, CHANGE_EXPIRY, GIVE_GRACE, REQUIRE, EXPIRY_DAY, LEAVE]


@dataclass
class Soak:
    """What runs, what was done to it, and what was seen."""

    fleet: Fleet
    dice: random.Random
    token: str
    folder: Path
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    unheard: Counter[str] = field(default_factory=Counter)  # messages that were taken while an answer may be missing
    until: dict[str, float] = field(default_factory=dict)  # what is away, and until when
    numbers: int = 0

    @property
    def mail(self) -> MailServer:
        assert self.fleet.mail
        return self.fleet.mail

    def play(self, seconds: float) -> None:
        """Do what the dice say, until the time is up."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.bring_back()
            act = self.dice.choices([self.change, self.fail, self.look], weights=[10, 2, 6])[0]
            with suppress(psycopg.OperationalError, requests.RequestException):
                act()
            self.watch_processes()
            time.sleep(self.dice.uniform(0.1, 1.5))
        self.bring_back(everything=True)

    # ---------------------------------------------------------------------------------------------------- what is done

    def change(self) -> None:
        kind = self.dice.choice(["api", "api", "sql", "sql", "import"])
        self.done[f"change by {kind}"] += 1
        {"api": self.change_by_api, "sql": self.change_by_sql, "import": self.change_by_import}[kind]()

    def change_by_api(self) -> None:
        mentor_id, certification_id = self.somebody()
        today = datetime.now(UTC).date()
        until = str(today + timedelta(days=self.dice.choice([-3, -1, 0, 1, 7, 30, 400])))
        method, path, body = self.dice.choice(
            [
                ("POST", f"mentors/{mentor_id}/pause", {"reason": "soak"}),
                ("POST", f"mentors/{mentor_id}/resume", {"reason": "soak", "exempt_until": str(today)}),
                ("POST", f"certifications/{certification_id}/renew", {"issued_on": str(today), "expires_on": until}),
                ("PATCH", f"certifications/{certification_id}", {"expires_on": until}),
                ("POST", f"certifications/{certification_id}/revoke", {"reason": "soak"}),
                ("DELETE", f"certifications/{certification_id}", None),
            ]
        )
        answer = requests.request(
            method,
            f"http://127.0.0.1:{self.fleet.web_port}/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Token {self.token}"},
            timeout=30,
        )
        if answer.status_code == 500:
            self.wrong.append(f"{method} {path.split('/')[0]} was answered with 500")

    def change_by_sql(self) -> None:
        mentor_id, certification_id = self.somebody()
        values = {"mentor": mentor_id, "certification": certification_id, "days": self.dice.choice([-3, 0, 6, 400])}
        with self.fleet.house.connect() as connection:
            connection.execute(self.dice.choice(BY_SQL), values)

    def change_by_import(self) -> None:
        """Import the roster again, some of its days moved."""
        head, *lines = ROSTER.read_text().splitlines()
        self.numbers += 1
        today = datetime.now(UTC).date()
        chosen = self.dice.sample(lines, 20)
        moved = [self._moved(line, today) for line in chosen]
        file = self.folder / f"roster-{self.numbers}.csv"
        file.write_text("\n".join([head, *moved]))
        with suppress(AssertionError):  # a database that is away, or a name that differs
            organisation = self.dice.choice(list(ZONES))
            self.fleet.manage(["import_roster", str(file), f"--organisation={organisation}", "--skip-errors"])

    def _moved(self, line: str, today: date) -> str:
        *most, issued_on, expires_on = line.split(",")
        if expires_on:
            days = self.dice.choice([-2, 0, 5, 20, 300])
            expires_on = str(max(today + timedelta(days=days), date.fromisoformat(issued_on)))
        return ",".join([*most, issued_on, expires_on])

    def somebody(self) -> tuple[int, int]:
        rows = self.fleet.ask("SELECT mentor_id, id FROM certifications_certification ORDER BY id")
        mentor_id, certification_id = self.dice.choice(rows)
        return mentor_id, certification_id

    # ----------------------------------------------------------------------------------------------------- what fails

    def fail(self) -> None:
        fault = self.dice.choice(
            [self.kill, self.kill, self.kill_child, self.freeze, self.lose_redis, self.cut_connections,
             self.restart_postgres, self.hurt_mail, self.hurt_mail]
        )  # fmt: skip
        self.done[f"fault: {fault.__name__.replace('_', ' ')}"] += 1
        fault()

    def kill(self) -> None:
        if alive := [name for name in (*PARTS, "web") if name in self.fleet.processes and name not in self.until]:
            name = self.dice.choice(alive)
            self.fleet.kill(name)
            self.until[name] = time.monotonic() + self.dice.uniform(0, 20)
            self._note_unheard()

    def kill_child(self) -> None:
        for name in ("worker", "worker-2"):
            if name in self.fleet.processes:
                children = psutil.Process(self.fleet.processes[name].pid).children()
                for child in children[:1]:
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
                self._note_unheard()

    def freeze(self) -> None:
        alive = [name for name in PARTS if name in self.fleet.processes and name not in self.fleet.frozen]
        if alive:
            name = self.dice.choice(alive)
            os.killpg(self.fleet.processes[name].pid, signal.SIGSTOP)
            self.fleet.frozen.add(name)
            self.until[f"frozen {name}"] = time.monotonic() + self.dice.uniform(1, 40)

    def lose_redis(self) -> None:
        if "redis" in self.until:
            return
        if self.dice.random() < 0.5:
            with suppress(Exception):
                redis.Redis.from_url(self.fleet.house.redis.url).flushall()
            return
        self.fleet.house.redis.stop()
        self.until["redis"] = time.monotonic() + self.dice.uniform(0, 15)

    def cut_connections(self) -> None:
        self.fleet.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.6"
        )
        self._note_unheard()

    def restart_postgres(self) -> None:
        if self.dice.random() < 0.3:
            self.fleet.house.postgres.stop()
            time.sleep(self.dice.uniform(0, 8))
            self.fleet.house.postgres.start()
            self._note_unheard()

    def hurt_mail(self) -> None:
        answer = self.dice.choice(["451 4.7.1 try again", "550 5.4.5 daily limit", "421 goodbye", CLOSE, SILENT, HANG])
        share = self.dice.uniform(0.1, 0.7)
        dice = random.Random(self.dice.random())

        def fault(_address: str) -> str | None:
            return answer if dice.random() < share else None

        self.mail.after_data = fault
        self.until["mail"] = time.monotonic() + self.dice.uniform(2, 30)

    def _note_unheard(self) -> None:
        """Whoever sends just now may die before the answer is written down: its message may come again, once."""
        recent = self.mail.received[-8:]
        self.unheard.update(mail["Message-ID"] for mail in recent)

    def bring_back(self, *, everything: bool = False) -> None:
        for name in [name for name, at in self.until.items() if everything or at <= time.monotonic()]:
            del self.until[name]
            self._bring_back(name)

    def _bring_back(self, name: str) -> None:
        if name == "mail":
            self.mail.after_data = None
            self.mail.release()
        elif name == "redis":
            self.fleet.house.redis.start()
        elif name == "web":
            self.fleet.serve()
        elif name.startswith("frozen "):
            part = name.removeprefix("frozen ")
            if part in self.fleet.frozen and part in self.fleet.processes:
                os.killpg(self.fleet.processes[part].pid, signal.SIGCONT)
            self.fleet.frozen.discard(part)
        else:
            start(self.fleet, name)

    # --------------------------------------------------------------------------------------------------- what is seen

    def look(self) -> None:
        """Look at a public page; what the database says before and after it must be what it shows."""
        before, now = self.state(), datetime.now(UTC)
        organisation, chapter_slug, chapter_id = self.dice.choice(
            self.fleet.ask(
                "SELECT organisation.slug, chapter.slug, chapter.id FROM mentors_chapter chapter"
                " JOIN mentors_organisation organisation ON organisation.id = organisation_id ORDER BY chapter.id"
            )
        )
        address = f"http://127.0.0.1:{self.fleet.web_port}/api/v1/public/{organisation}/chapters/{chapter_slug}/mentors"
        answer = requests.get(address, timeout=30)
        after = self.state()
        self.done["look"] += 1
        if answer.status_code != 200:
            if answer.status_code != 503:
                self.wrong.append(f"the public page was answered with {answer.status_code}")
            return
        shown = {row["name"] for row in answer.json()["results"]}
        for row in after.mentors.values():
            expected = {
                state.is_public(state.mentors[row.id], state.organisation_of(row).day_of(now))
                for state in (before, after)
                if row.id in state.mentors
            }
            if row.chapter_id == chapter_id and expected == {False} and row.name in shown:
                self.wrong.append(f"the public page showed {row.ref}")

    def state(self) -> State:
        with self.fleet.house.connect() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return read_state(connection)

    def watch_processes(self) -> None:
        for name, process in list(self.fleet.processes.items()):
            if process.has_ended:
                self.wrong.append(f"{name} ended by itself: {process.output[-300:]}")
                self.fleet.kill(name)
                self.until[name] = 0.0

    # ----------------------------------------------------------------------------------------------------- the verdict

    def settle(self) -> None:
        """Wait for the end of what was begun; then no night begins any more but one last, by hand."""
        self.fleet.manage(["shell", "--verbosity=0", "-c", SWITCH_OFF])
        self.wait_for_quiet()
        for organisation in ZONES:
            self.fleet.manage(["nightly", f"--organisation={organisation}", "--inline", "--approve"])
        self.wait_for_quiet()

    def wait_for_quiet(self) -> None:
        ends = time.monotonic() + PATIENCE
        quiet = (
            "SELECT NOT EXISTS (SELECT FROM cronjobs_run WHERE status IN ('planned', 'running'))"
            " AND NOT EXISTS (SELECT FROM cronjobs_run WHERE concluded_at IS NULL AND NOT dry_run)"
            " AND NOT EXISTS (SELECT FROM notifications_notification WHERE status IN ('queued', 'sending')"
            "                 AND next_attempt_at < now() + interval '10 minutes')"
        )
        while self.fleet.ask(quiet) != [True]:
            if time.monotonic() > ends:
                left = self.fleet.ask("SELECT kind || ' ' || status FROM notifications_notification"
                                      " WHERE status IN ('queued', 'sending') LIMIT 5")  # fmt: skip
                self.wrong.append(f"what was begun has not come to its end: {left}")
                return
            time.sleep(1)

    def judge(self) -> dict[str, list[str]]:
        state = self.state()
        return {
            "derived, log, keys and books": list(broken_laws(state)),
            "nobody is active whom the last night had to pause": [
                mentor.ref for mentor in state.mentors.values() if must_pause_now(state, mentor.id)
            ],
            "every slot has a run, or is recorded as missed": self.lost_slots(),
            "every message came once, but for those whose answer may be lost": self.repeats(),
            "every mail is to somebody who is known": self.strangers(state),
            "no process ended, no answer was wrong, nothing hung": self.wrong,
        }

    def lost_slots(self) -> list[str]:
        return self.fleet.ask(
            "SELECT slot::text FROM cronjobs_cronjob job,"
            " generate_series((SELECT min(scheduled_for) FROM cronjobs_run WHERE cron_job_id = job.id),"
            "                 (SELECT max(scheduled_for) FROM cronjobs_run WHERE cron_job_id = job.id),"
            "                 interval '2 minutes') slot"
            " WHERE NOT EXISTS (SELECT FROM cronjobs_run WHERE cron_job_id = job.id AND scheduled_for = slot)"
        )

    def repeats(self) -> list[str]:
        taken = Counter(mail["Message-ID"] for mail in self.mail.received)
        unheard = self.unheard + Counter(self.mail.silenced)
        return [f"{pk}: {count} times" for pk, count in taken.items() if count > 1 + unheard[pk]]

    def strangers(self, state: State) -> list[str]:
        known = {mentor.email for mentor in state.mentors.values()}
        known |= set(self.fleet.ask("SELECT email FROM mentors_user")) | {"drift@example.org"}
        return sorted({mail["To"] for mail in self.mail.received} - known)


def broken_laws(state: State) -> Iterator[str]:
    try:
        judge_state(state)
    except Violation as violation:
        yield str(violation)


def must_pause_now(state: State, mentor_id: int) -> list[str]:
    mentor = state.mentors[mentor_id]
    runs = [run for run in state.runs.values() if run.organisation_id == mentor.organisation_id]
    last = max((run for run in runs if run.status != "missed"), key=lambda run: run.created_at)
    return state.must_pause(mentor, last.business_date)


def start(fleet: Fleet, name: str) -> None:
    """Start a part again, without waiting for it: it is part of the trial that it finds its way."""
    command = running(*COMMANDS[name.partition("-")[0]], env=fleet.environment)
    fleet.processes[name] = fleet.undo.enter_context(command)


@contextmanager
def service(folder: Path) -> Iterator[Fleet]:
    """Run the whole service, with two organisations, each with the sample roster."""
    with servers(folder) as house, mail_server() as mail, ExitStack() as undo:
        clock = MovedClock(folder / "clock", at=datetime.now(UTC))
        fleet = Fleet(house=house, clock=clock, mail=mail, undo=undo)
        prepare(fleet)
        for name in PARTS:
            start(fleet, name)
        fleet.serve()
        yield fleet


def prepare(fleet: Fleet) -> None:
    types = [f"--type={code}" for code in TYPES]
    commands: list[Sequence[str]] = [["migrate", "--verbosity=0"]]
    for slug, zone in ZONES.items():
        commands.append(["create_organisation", slug, f"--name={slug}", f"--timezone={zone}", *types])
        commands.append(["import_roster", str(ROSTER), f"--organisation={slug}", "--create-chapters"])
    fleet.manage(*commands, ["shell", "--verbosity=0", "-c", SETUP])


def issue_token(fleet: Fleet) -> str:
    command = [sys.executable, "manage.py", "issue_token", "root", "--format=json"]
    said = subprocess.run(command, env=fleet.environment, capture_output=True, text=True, check=True)
    token: str = json.loads(said.stdout)["token"]
    return token


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args(arguments)
    print(f"SEED={options.seed}", flush=True)
    folder = Path(mkdtemp(prefix="soak-"))
    try:
        with service(folder) as fleet:
            soak = Soak(fleet, random.Random(options.seed), issue_token(fleet), folder)
            soak.play(60 * options.minutes)
            soak.settle()
            return tell(soak)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tell(soak: Soak) -> int:
    """Print what was done, and what held; return whether anything did not."""
    print("\n".join(f"{count:6} {what}" for what, count in sorted(soak.done.items())))
    runs = soak.fleet.ask("SELECT status || ' ' || count(*) FROM cronjobs_run GROUP BY status ORDER BY 1")
    print(f"{len(soak.mail.received):6} mails; runs: {', '.join(runs)}\n")
    verdicts = soak.judge()
    for law, broken in verdicts.items():
        print(f"{'held' if not broken else 'BROKEN':7} {law}")
        for evidence in broken[:5]:
            print(f"          {evidence}")
    return int(any(verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
