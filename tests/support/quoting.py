"""A night in real processes, and a database that quotes Liv when it refuses a row: nobody may pass that on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import requests
from django.db import connection
from django.utils import timezone
from knox.models import AuthToken

from cronjobs.cron import latest_slot
from cronjobs.models import CronJob, Run
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation, User
from tests.support.processes import wait_until

PERSONAL = re.compile(r"Liv|Moe|liv@|4791234567|Slottsplassen|olav")


def make_job(organisation: Organisation, *, slots: int = 1) -> CronJob:
    """Make a job of every midnight, that had so many slots by now and none of them run."""
    newest = latest_slot("0 0 * * *", "Europe/Oslo", now=timezone.now())
    assert newest
    began_at = newest - timedelta(days=slots - 1, minutes=1)
    return create_cron_job(organisation=organisation, now=began_at, name="nightly", cron_expression="0 0 * * *")


@contextmanager
def quoting_the_row(table: str, event: str, *, when: str = "true") -> Iterator[None]:
    """Let the database refuse rows of a table, with an error that quotes Liv."""
    said = "Liv Moe, liv@example.org"
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION quote_row() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'no such row: ({said})' USING DETAIL = 'Key is ({said})'; END $$;"
            f" CREATE TRIGGER quote_row BEFORE {event} ON {table} FOR EACH ROW"
            f" WHEN ({when}) EXECUTE FUNCTION quote_row()"
        )
        try:
            yield
        finally:
            cursor.execute("DROP FUNCTION quote_row CASCADE")


def wait_for_the_night() -> Run:
    concluded = Run.objects.filter(concluded_at__isnull=False)
    wait_until(concluded.exists, what="the end of the run")
    return concluded.get()


def post(url: str, user: User, body: dict[str, Any]) -> int:
    headers = {"Authorization": f"Token {AuthToken.objects.create(user)[1]}"}
    answer = requests.post(url, json=body, headers=headers, timeout=120)
    return answer.status_code
