"""Twenty people press at once, against a real gunicorn: one is first, and the others are told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from http.client import HTTPConnection, HTTPResponse
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import pytest
from knox.models import AuthToken

from certifications.models import Certification
from cronjobs.models import Run
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Mentor, Organisation, User
from mentors.rest.versions import etag_of
from tests.conftest import NOW, Certify
from tests.support.processes import web

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

PEOPLE = 20
Answer = tuple[int, Any]


def all_at_once(address: str, ask: Callable[[HTTPConnection, int], None]) -> list[Answer]:
    """Let everybody connect, and then ask in the same moment; return the status and the body of each answer."""
    barrier = Barrier(PEOPLE)

    def person(number: int) -> Answer:
        with closing(HTTPConnection(urlsplit(address).netloc, timeout=240)) as connection:
            connection.connect()
            barrier.wait(timeout=240)
            ask(connection, number)
            answer: HTTPResponse = connection.getresponse()
            return answer.status, json.loads(answer.read())

    with ThreadPoolExecutor(PEOPLE) as people:
        return list(people.map(person, range(PEOPLE)))


def test_of_all_who_execute_one_does_and_the_others_get_its_id(
    hlf: Organisation, olav: User, mentor: Mentor, certify: Certify
) -> None:
    # No worker runs, and there is something to do: so the run stays open.
    certify(mentor, issued_on=date(2020, 1, 1), expires_on=date(2021, 1, 1))
    job = create_cron_job(organisation=hlf, name="nightly", now=NOW)
    headers = {"Authorization": f"Token {AuthToken.objects.create(olav)[1]}"}

    def press(connection: HTTPConnection, _number: int) -> None:
        connection.request("POST", f"/api/v1/certification-cron/{job.pk}/execute", headers=headers)

    with web(threads=10) as address:
        answers = all_at_once(address, press)

    run = Run.objects.get()
    assert Counter((status, body["id"]) for status, body in answers) == {(202, str(run.pk)): 1, (409, str(run.pk)): 19}
    assert run.requested_by == "olav"


def test_of_all_who_change_what_they_have_read_one_does_and_the_others_lose_nothing(
    olav: User, mentor: Mentor, certify: Certify
) -> None:
    held = certify(mentor)
    headers = {
        "Authorization": f"Token {AuthToken.objects.create(olav)[1]}",
        "If-Match": etag_of(held),
        "Content-Type": "application/json",
    }

    def change(connection: HTTPConnection, number: int) -> None:
        body = {"number": f"by {number}", "issued_on": "2026-01-01", "expires_on": "2028-01-01"}
        connection.request("PUT", f"/api/v1/certifications/{held.pk}", json.dumps(body), headers)

    with web(threads=10) as address:
        answers = all_at_once(address, change)

    [first] = [body["number"] for status, body in answers if status == 200]
    assert Counter(status for status, _ in answers) == {200: 1, 412: 19}
    assert Certification.objects.get().number == first


def test_of_all_who_record_the_same_one_does_and_the_others_get_its_id(olav: User, mentor: Mentor, course: Any) -> None:
    headers = {
        "Authorization": f"Token {AuthToken.objects.create(olav)[1]}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"mentor": mentor.pk, "type": course.code, "number": "A1", "issued_on": "2026-01-01"})

    def record(connection: HTTPConnection, _number: int) -> None:
        connection.request("POST", "/api/v1/certifications", body, headers)

    with web(threads=10) as address:
        answers = all_at_once(address, record)

    only = Certification.objects.get()
    assert Counter((status, body["id"]) for status, body in answers) == {(201, only.pk): 1, (409, only.pk): 19}
