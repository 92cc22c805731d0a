"""docs/api.md, done: every request in it is sent, and every answer must be what it says.

In an answer `…` stands for what is left out: any value, further fields, further items. Ids, tokens and versions
differ from one database to the next: what the page writes for one is bound to the real one when it is first seen, and
must mean the same from then on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from certifications.models import Certification, CertificationType
from certifications.record_text import LAPSED
from cronjobs import record_text
from cronjobs.models import Action, Run, RunItem
from cronjobs.nightly import ALL_ACTIONS
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from tests.support.nights import work_night
from tests.support.processes import PROJECT

pytestmark = pytest.mark.django_db

PAGE = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
MORE = "…"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
STATUS = re.compile(r"HTTP/1\.1 (\d{3}) .+")


@dataclass
class Names:
    """What the page calls things, by their real values."""

    real: dict[str, str] = field(default_factory=dict)

    def bind(self, written: object, real: object) -> None:
        """Hold the page to what it called this before; the first time, it may call it anything."""
        assert self.real.setdefault(str(written), str(real)) == str(real), f"{written} was {self.real[str(written)]}"

    def translate(self, text: str) -> str:
        """Put the real values into a request."""
        if not self.real:
            return text
        words = sorted(self.real, key=len, reverse=True)
        return re.sub(
            rf"(?<![\w-])({'|'.join(map(re.escape, words))})(?![\w-])", lambda found: self.real[found[1]], text
        )


def conversation() -> list[tuple[str, str]]:
    """Return the requests of the page, each with its answer."""
    blocks = re.findall(r"```http\n(.*?)```", PAGE, re.DOTALL)
    return list(zip(blocks[::2], blocks[1::2], strict=True))


@pytest.fixture
def oslo_in_november(db: None, today: date, now: datetime) -> None:
    """The chapter that the page tells of, on Saturday 21 November 2026."""
    hlf = Organisation.objects.create(slug="hlf", name="HLF")
    oslo = Chapter.objects.create(organisation=hlf, name="Oslo", slug="oslo")
    course = CertificationType.objects.create(
        organisation=hlf, code="likepersonkurs", name="Likepersonkurs", required=True, validity_months=24
    )
    kari = User.objects.create_user("kari", "kari@example.org", "correct horse", first_name="Kari", last_name="Lie")
    CoordinatorRole.objects.create(user=kari, organisation=hlf, chapter=oslo)
    olav = User.objects.create_user("olav", "olav@example.org", "battery staple", first_name="Olav", last_name="Ås")
    CoordinatorRole.objects.create(user=olav, organisation=hlf)
    schedule_nightly_run(organisation=hlf, now=now)

    def enrol(ref: str, name: str, *, number: str, expires_on: date, **fields: Any) -> Certification:
        mentor = Mentor.objects.create(organisation=hlf, chapter=oslo, ref=ref, name=name, language="nb", **fields)
        issued_on = expires_on - timedelta(days=730)
        return Certification.objects.create(
            mentor=mentor, type=course, number=number, issued_on=issued_on, expires_on=expires_on
        )

    paused = {
        "status": "paused",
        "pause_cause": "certification_expired",
        "pause_reason": LAPSED(types=["likepersonkurs"]),
    }
    enrol("M-0012", "Liv Moe", number="A1017", expires_on=today - timedelta(days=3), email="liv@example.org", **paused)
    enrol("M-0031", "Ådne Berg", number="A1020", expires_on=today - timedelta(days=1))
    per = enrol("M-0040", "Per Dahl", number="A1042", expires_on=today + timedelta(days=10))
    earlier = Run.objects.create(
        organisation=hlf, business_date=today - timedelta(days=1), trigger=Run.Trigger.SCHEDULE,
        actions=list(ALL_ACTIONS), status=Run.Status.SUCCEEDED, created_at=now, finished_at=now, code_version="",
    )  # fmt: skip
    for stage in (30, 14):
        RunItem.objects.create(
            run=earlier, action=Action.REMIND, dedupe_key=f"remind:{per.pk}:{per.expires_on}:{stage}", at=now,
            mentor=per.mentor, certification=per, type="likepersonkurs", number=per.number, stage=stage,
            expires_on=per.expires_on, status=RunItem.Status.DONE, outcome=record_text.REMINDED(),
        )  # fmt: skip


def test_the_day_that_the_page_tells_goes_as_it_says(oslo_in_november: None, now: datetime) -> None:
    names, client = Names(), APIClient(HTTP_ACCEPT_LANGUAGE="en")

    for request, answer in conversation():
        response = send(client, names.translate(request))
        compare(answer, response, names)
        for run in Run.objects.filter(status=Run.Status.RUNNING):
            if "HTTP/1.1 409" in answer:  # "a moment later": the page has pressed twice, and the workers are done
                work_night(run, now=now)


def test_the_page_has_many_requests() -> None:
    assert len(conversation()) >= 15


def send(client: APIClient, request: str) -> Any:
    head, _, body = request.partition("\n\n")
    first, *headers = head.splitlines()
    method, path = first.split()
    extra: dict[str, Any] = {
        f"HTTP_{name.upper().replace('-', '_')}": value.strip()
        for name, _, value in (header.partition(":") for header in headers)
    }
    return client.generic(method, path, body.strip(), content_type="application/json", **extra)


def compare(answer: str, response: Any, names: Names) -> None:
    head, _, body = answer.partition("\n\n")
    first, *headers = head.splitlines()
    found = STATUS.fullmatch(first)
    assert found, f"{first} is no status line"
    assert response.status_code == int(found[1]), response.content
    for header in headers:
        name, _, written = header.partition(": ")
        real = response[name]
        if MORE not in written and written != real:
            names.bind(written, real)
    if body.strip():
        match(json.loads(body), response.json(), names, where="")


def match(written: Any, real: Any, names: Names, *, where: str) -> None:
    """Compare what the page says with what was answered."""
    if written == MORE:
        return
    if isinstance(written, dict):
        assert isinstance(real, dict), where
        assert MORE in written or written.keys() == real.keys(), (where, written.keys() ^ real.keys())
        for name in written.keys() - {MORE}:
            match(written[name], real[name], names, where=f"{where}.{name}")
    elif isinstance(written, list):
        shown = [item for item in written if item != MORE]
        assert len(shown) == len(real) or (MORE in written and len(shown) <= len(real)), (where, real)
        for number, item in enumerate(shown):
            match(item, real[number], names, where=f"{where}[{number}]")
    elif differs_by_nature(written, where):
        names.bind(written, real)
    elif isinstance(written, str) and MOMENT.fullmatch(written):
        assert MOMENT.fullmatch(str(real)), (where, real)
    else:
        assert written == real, (where, written, real)


def differs_by_nature(written: Any, where: str) -> bool:
    """Say whether it is an id or a token."""
    name = where.rpartition(".")[2]
    if name in {"id", "mentor", "chapter", "cron_job", "run"} and isinstance(written, int):
        return True
    return name == "token" or (isinstance(written, str) and _is_uuid(written))


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
