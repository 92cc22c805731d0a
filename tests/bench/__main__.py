"""`make bench`: what a night, a list and a message cost, beside the least possible and the plain way."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from statistics import median

import django
from django.utils import timezone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
django.setup()

from tests.bench import dataset, desk, mail, measure, metrics, report, web  # noqa: E402
from tests.bench.dataset import Size  # noqa: E402
from tests.bench.measure import Measurement  # noqa: E402
from tests.bench.report import Row  # noqa: E402
from tests.bench.web import Rates  # noqa: E402
from tests.support.databases import filled  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Programme:
    night: Size
    less_history: Size
    many_due: Size
    desk: Size
    repeats: int
    plain: int  # how many mentors the plain ways are given
    mail: int  # how many e-mails are queued
    plain_mail: int  # how many of them the plain way is given
    load_seconds: float  # of each load on the web server

    @property
    def sizes(self) -> tuple[Size, ...]:
        return (self.night, self.less_history, self.many_due, self.desk)


FULL = Programme(
    night=Size(name="night", certifications=1_000_000, due=10_000),
    less_history=Size(name="less_history", certifications=100_000, due=10_000),
    many_due=Size(name="many_due", certifications=1_000_000, due=100_000),
    desk=Size(name="desk", certifications=333_340, due=3_000),
    repeats=3,
    plain=2_000,
    mail=10_000,
    plain_mail=2_000,
    load_seconds=5,
)
SMALL = Programme(
    night=Size(name="night", certifications=2_000, due=60),
    less_history=Size(name="less_history", certifications=1_000, due=60),
    many_due=Size(name="many_due", certifications=2_000, due=300),
    desk=Size(name="desk", certifications=2_000, due=60),
    repeats=1,
    plain=60,
    mail=200,
    plain_mail=50,
    load_seconds=0.5,
)

METHOD = """\
## How

- An organisation with {certifications:,} certifications of {mentors:,} mentors in {chapters:,} chapters, each with
  its coordinator. Most certifications are superseded, and each of those left a row in the ledger and a message.
  {due:,} mentors are due: half to be paused, four tenths reminded, one tenth resumed (`tests/bench/dataset.py`).
- Every measurement starts from a fresh clone of the same database, after a checkpoint. The worker is
  `celery -A config worker -c 2 -Q night,delivery`, and has done a night of {warm_ups} mentors before the clock
  starts. Medians of {repeats}; 100,000 due once. No message is delivered meanwhile: messages are written, and wait for
  the sending hours.
- **The night** counts from the claim to the closed run, queue and planning included.
- **Planning** is measured at its second run, with its pages in memory; the first run is part of the night above.
- **(a) one statement** is the limit: the same rows written by one hand-written statement (`tests/bench/limit.py`).
  It cannot be retried in parts or divided among workers, and checks nothing twice.
- **(b) and (c)** are the plain implementation (`tests/bench/plain.py`): the ORM, one transaction a mentor; (b) as one
  task a mentor on the same worker, (c) in a loop in one process. They get the list of who is due, are measured once,
  on {plain:,} mentors taken at random, and scaled up.
- **(d)** is a `ModelViewSet` with a `ModelSerializer`, a django-filter and joins of all that it shows, over the same
  rows (`tests/bench/plain_api.py`); it has no roles and no counts. Both are served by the same gunicorn, two
  processes with four threads each, and get requests in turn over eight connections from a separate process.
- The night and (a) must leave the same rows (compared by checksums in every run); with `--small` so must (b) and (c).
- **(e)** is one `send_mail` a message, each in a task of its own, on the same worker (`tests/bench/plain_mail.py`).
  Both send the same words as text and HTML; ours also checks the rules once more. The worker has two processes and no
  limit of rates; the mail server (`tests/bench/sink.py`) only counts, and shares the cores. There is no TLS and no
  login, which would make (e) slower still. As by Celery's default, every task opens its own connection to PostgreSQL:
  (e) does that for each message. It gets {plain_mail:,} of the messages.
- **GET /metrics** is the whole request, in this process, the median of 20: after {years} years of nights, and while a
  night of {due:,} mentors is planned and not yet worked on (`tests/bench/metrics.py`).
- **The desk's pages** are all lists and the page of the first row of each, for a coordinator of a chapter, one of the
  organisation and a superuser, with {desk_mentors:,} mentors while a night is at work: the whole request, in this
  process, the median of {repeats} (`tests/bench/desk.py`).
- PostgreSQL, Redis, the worker's processes and the bench share the cores, so ratios say more than seconds.
"""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--small", action="store_true", help="check the bench itself; writes no page")
    programme = SMALL if parser.parse_args(arguments).small else FULL
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # not without stopping the worker
    began, now = time.perf_counter(), timezone.now()
    on = now.astimezone(dataset.ZONE).date()
    with ExitStack() as stack:
        templates = {}
        for size in programme.sizes:
            _say(f"filling {size.name}: {size.certifications:,} certifications, {size.due:,} due")
            templates[size.name] = stack.enter_context(filled(size.name, partial(dataset.fill, size, on=on, now=now)))
        rows, differences = measure_all(programme, templates, on=on)
        rows += measure_mail(programme, on=on, now=now)
        machine = report.describe_machine()
    # On a few mentors the queue and the start of each task outweigh everything else: no target fits.
    rows = rows if programme is FULL else [replace(row, judged=False) for row in rows]
    print(report.render(rows))
    _say(f"done in {time.perf_counter() - began:.0f} s")
    for difference in differences:
        print(f"bench: {difference}", file=sys.stderr)
    if programme is FULL:
        size = programme.night
        method = METHOD.format(
            certifications=size.certifications,
            mentors=size.mentors,
            chapters=size.chapters,
            due=size.due,
            warm_ups=dataset.WARM_UPS,
            repeats=programme.repeats,
            plain=programme.plain,
            plain_mail=programme.plain_mail,
            years=metrics.YEARS,
            desk_mentors=programme.desk.mentors,
        )
        report.write_page(rows, machine=machine, method=method, now=now)
    return 1 if differences else 0


def measure_all(programme: Programme, templates: dict[str, str], *, on: date) -> tuple[list[Row], list[str]]:
    """Measure everything; return the rows of the table, and what should have been alike and is not."""
    night, less, many, many_mentors = (templates[size.name] for size in programme.sizes)
    statements, nights, plans, earlier_plans = [], [], [], []
    for _ in range(programme.repeats):
        statements.append(_measure("(a) one statement", lambda: measure.measure_statement(night, on=on)))
        nights.append(_measure("the night", lambda: measure.measure_night(night, on=on)))
        earlier_plans.append(_measure("planning, less history", lambda: measure.measure_planning(less, on=on)))
        plans.append(_measure("planning", lambda: measure.measure_planning(night, on=on)))
    tasks = _measure("(b) a task a mentor", lambda: measure.measure_tasks(night, on=on, at_most=programme.plain))
    loop = _measure("(c) a loop", lambda: measure.measure_loop(night, on=on, at_most=programme.plain))
    big_night = _measure(f"{programme.many_due.due:,} due", lambda: measure.measure_night(many, on=on))
    _say("measuring the API under load")
    rates = web.measure_lists(
        night, chapters=programme.night.chapters, seconds=programme.load_seconds, repeats=programme.repeats
    )
    rows = compare_rates(programme, rates) + compare(
        programme,
        night=_middle(nights),
        statement=_middle(statements),
        tasks=tasks,
        loop=loop,
        plan=_middle(plans),
        earlier_plan=_middle(earlier_plans),
        big_night=big_night,
    )
    _say("measuring a scrape of /metrics")
    rows += metrics.describe(metrics.measure_scrape(night, on=on), certifications=programme.night.certifications)
    _say("measuring the pages of the desk")
    pages = desk.measure_pages(many_mentors, on=on, repeats=programme.repeats)
    rows += desk.describe(pages, mentors=programme.desk.mentors)
    whole = [("the night", nights[0]), ("(b)", tasks), ("(c)", loop)]
    differences = [
        f"{name} left other rows than (a): {_differences(statements[0], measurement)}"
        for name, measurement in whole
        if measurement.share == 1 and measurement.state != statements[0].state
    ]
    return rows, differences


def compare(
    programme: Programme,
    *,
    night: Measurement,
    statement: Measurement,
    tasks: Measurement,
    loop: Measurement,
    plan: Measurement,
    earlier_plan: Measurement,
    big_night: Measurement,
) -> list[Row]:
    """Set each measurement beside what it is compared with."""
    each = night.seconds / programme.night.due * 1000
    each_of_many = big_night.seconds / programme.many_due.due * 1000
    the_night = f"the night: {night.seconds:.2f} s"
    return [
        Row(
            what=f"the night, {programme.night.due:,} due of {programme.night.certifications:,}",
            measured=f"{night.seconds:.2f} s",
            compared_with=f"(a) one statement: {statement.seconds:.2f} s",
            ratio=night.seconds / statement.seconds,
            at_most=3,
        ),
        Row(
            what="(b) one task and transaction a mentor, two processes",
            measured=f"{tasks.seconds:.1f} s",
            compared_with=the_night,
            ratio=tasks.seconds / night.seconds,
            at_least=25,
        ),
        Row(
            what="(c) one transaction a mentor in a loop, one process",
            measured=f"{loop.seconds:.1f} s",
            compared_with=the_night,
            ratio=loop.seconds / night.seconds,
            at_least=25,
        ),
        Row(
            what=f"planning, {programme.night.certifications:,} certifications",
            measured=f"{plan.seconds:.2f} s",
            compared_with=f"{programme.less_history.certifications:,}: {earlier_plan.seconds:.2f} s",
            ratio=plan.seconds / earlier_plan.seconds,
            at_most=1.5,
        ),
        Row(
            what="rows of big tables that planning reads by sequential scan",
            measured=f"{plan.read_in_sequence:,}",
            compared_with="",
            ratio=float(plan.read_in_sequence),
            unit="rows",
            at_most=0,
        ),
        Row(
            what=f"time an item, {programme.many_due.due:,} due",
            measured=f"{each_of_many:.2f} ms",
            compared_with=f"{programme.night.due:,} due: {each:.2f} ms",
            ratio=each_of_many / each,
            at_most=1.3,
        ),
        Row(
            what=f"peak memory of a worker process, {programme.many_due.due:,} due",
            measured=f"{big_night.peak_mb:.0f} MB",
            compared_with=f"{programme.night.due:,} due: {night.peak_mb:.0f} MB",
            ratio=big_night.peak_mb,
            unit="MB",
            at_most=250,
        ),
    ]


def measure_mail(programme: Programme, *, on: date, now: datetime) -> list[Row]:
    """Measure how fast queued e-mail leaves, in turn, and set the medians beside each other."""
    _say(f"measuring {programme.mail:,} queued e-mails")
    with filled("mail", partial(mail.fill, programme.mail, on=on, now=now)) as queued:
        own, plain = [], []
        for _ in range(programme.repeats):
            own.append(mail.measure_own(queued))
            plain.append(mail.measure_plain(queued, at_most=programme.plain_mail))
    rates = [median(mail.per_second for mail in measured) for measured in (own, plain)]
    return [
        Row(
            what=f"{programme.mail:,} queued e-mails over {own[0].connections:,} connections, two processes",
            measured=f"{rates[0]:.0f} a second",
            compared_with=f"(e) one send_mail a message: {rates[1]:.0f} a second",
            ratio=rates[0] / rates[1],
            at_least=5,
        )
    ]


def compare_rates(programme: Programme, rates: dict[str, Rates]) -> list[Row]:
    """Set what the API serves beside what a plain ModelViewSet does."""
    return [
        Row(
            what=f"GET {name}, of {programme.night.certifications:,}",
            measured=f"{rate.own:.0f} a second",
            compared_with=f"(d) a plain ModelViewSet: {rate.plain:.0f} a second",
            ratio=rate.own / rate.plain,
            at_least=1.5,
        )
        for name, rate in rates.items()
    ]


def _measure(name: str, measurement: Callable[[], Measurement]) -> Measurement:
    _say(f"measuring {name}")
    measured = measurement()
    _say(f"    {measured.seconds:.2f} s" + (f", scaled up from {measured.share:.0%}" if measured.share < 1 else ""))
    return measured


def _middle(measurements: list[Measurement]) -> Measurement:
    return Measurement(
        seconds=median(measurement.seconds for measurement in measurements),
        peak_mb=max(measurement.peak_mb for measurement in measurements),
        read_in_sequence=max(measurement.read_in_sequence for measurement in measurements),
        state=[],
    )


def _differences(one: Measurement, other: Measurement) -> list[tuple[object, ...]]:
    return sorted(set(one.state) ^ set(other.state), key=str)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
