"""How many queued e-mails leave in a second, through two worker processes, beside one `send_mail` a message."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock

from celery import current_app
from django.db import connection
from django.utils import timezone

from certifications.models import Certification, CertificationType
from mentors.models import Chapter, Mentor, Organisation
from notifications.channels import EMAIL
from notifications.delivery import workers_wanted
from notifications.models import Notification
from tests.bench.plain_mail import send_one
from tests.support.databases import ask, clone
from tests.support.processes import SCRIPTS, Process, free_port, running
from tests.support.servers import url_of

WARM_UP = 100
SENT = "SELECT count(*) FROM notifications_notification WHERE status = 'sent'"
COMMAND = ("celery", "-A", "config", "worker", "-c", "2", "-Q", "night,delivery", "--include", "tests.bench.plain_mail")


@dataclass(frozen=True, kw_only=True)
class Mail:
    """Messages a second, and how many connections each took."""

    per_second: float
    connections: int


def fill(count: int, *, on: date, now: datetime) -> None:
    """Queue a reminder for each of so many mentors, due tomorrow; those of the warm-up come on top."""
    organisation = Organisation.objects.create(slug="mail", name="Mail", sending_from=clock(0), sending_until=clock(0))
    chapter = Chapter.objects.create(organisation=organisation, name="Mail", slug="mail")
    course = CertificationType.objects.create(organisation=organisation, code="kurs", name="Kurs", required=True)
    mentors = Mentor.objects.bulk_create(
        Mentor(organisation=organisation, chapter=chapter, ref=f"M{n}", name=f"Åse Lie {n}", email=f"m{n}@example.org")
        for n in range(count + WARM_UP)
    )
    expires_on = on + timedelta(days=7)
    held = Certification.objects.bulk_create(
        Certification(mentor=mentor, type=course, issued_on=on - timedelta(days=365), expires_on=expires_on)
        for mentor in mentors
    )
    facts = {"kind": "remind", "types": "kurs", "names": ["Kurs"], "expires_on": str(expires_on), "stage": 7}
    Notification.objects.bulk_create(
        Notification(
            dedupe_key=f"mail:{row.pk}",
            organisation=organisation,
            kind="night",
            channel=EMAIL,
            recipient_mentor=row.mentor,
            about=row.mentor,
            language="nb",
            context={"events": [facts | {"certification_id": row.pk}]},
            next_attempt_at=now + timedelta(days=1),
            created_at=now,
        )
        for row in held
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def measure_own(template: str) -> Mail:
    """From the nudge until everything has left."""

    def begin() -> None:
        Notification.objects.filter(status="queued").update(next_attempt_at=timezone.now())
        for _ in range(workers_wanted(now=timezone.now())):
            current_app.send_task("notifications.deliver")

    with clone(template) as database:
        return _measure(database, begin=begin, count=_queued() - WARM_UP)


def measure_plain(template: str, *, at_most: int) -> Mail:
    """From the first task until so many have left."""
    with clone(template) as database:
        count = min(at_most, _queued() - WARM_UP)

        def begin() -> None:
            for pk in Notification.objects.filter(status="queued").values_list("pk", flat=True)[:count]:
                send_one.delay(pk)

        return _measure(database, begin=begin, count=count)


def _measure(database: str, *, begin: Callable[[], None], count: int) -> Mail:
    with sink() as (port, server), fleet(database, port=port) as worker:
        _warm_up(worker)
        began = time.perf_counter()
        begin()
        worker.wait_until(lambda: ask(SENT) == [(count + WARM_UP,)], seconds=600, what="the last message")
        seconds = time.perf_counter() - began
        worker.stop()
        server.stop()
        came = json.loads(server.output.splitlines()[-1])
    assert came["messages"] == came["ids"] == count + WARM_UP, came
    return Mail(per_second=count / seconds, connections=came["connections"])


def _warm_up(worker: Process) -> None:
    """Let the worker load what it needs, before the clock is started."""
    first = Notification.objects.order_by("pk")[:WARM_UP].values("pk")
    Notification.objects.filter(pk__in=first).update(next_attempt_at=timezone.now())
    for _ in range(2):
        current_app.send_task("notifications.deliver")
    worker.wait_until(lambda: ask(SENT) == [(WARM_UP,)], what="the end of the warm-up")


def _queued() -> int:
    return Notification.objects.filter(status="queued").count()


@contextmanager
def sink() -> Iterator[tuple[int, Process]]:
    port = free_port()
    with running("python", "-m", "tests.bench.sink", str(port), env=os.environ) as server:
        server.wait_for("listening")
        yield port, server


@contextmanager
def fleet(database: str, *, port: int) -> Iterator[Process]:
    """Start a worker with two processes, which sends to the sink as fast as it can."""
    current_app.control.purge()
    environment = os.environ | {
        "DATABASE_URL": url_of(database),
        "PATH": os.pathsep.join((str(SCRIPTS), os.environ.get("PATH", os.defpath))),
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        "DELIVERY_RATES": "*=1000000/second",
        "PUBLIC_URL": "https://nattevakt.example",
        "LOG_LEVEL": "WARNING",
    }
    with running(*COMMAND, env=environment) as worker:
        worker.wait_until(lambda: current_app.control.ping(timeout=0.5), what="its readiness")
        yield worker
