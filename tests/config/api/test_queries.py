"""Each list asks the database as often for forty rows as for ten, and never more than eight times."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial

import pytest

from certifications.models import Certification, CertificationType, Exemption
from cronjobs.models import Action, CronJob, Run, RunItem
from mentors.models import Chapter, Mentor, Organisation, StatusChange, User
from notifications.channels import INBOX
from notifications.models import Notification
from tests.support.api import by_token
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db

MOST = 8
LISTS = [
    "certifications",
    "certifications?state=expiring&chapter={chapter}&search=mentor&ordering=-expires_on",
    "certifications/expiring",
    "certification-types",
    "exemptions",
    "mentors",
    "mentors?status=active&chapter={chapter}",
    "mentors/{mentor}/timeline",
    "chapters",
    "notifications",
    "certification-cron",
    "certification-cron/{job}/runs",
    "runs",
    "runs/{run}/items",
    "runs/{run}/export",
    "public/hlf/chapters/oslo/mentors",
]


class Rows:
    """One more of everything that is listed, as often as it is asked for."""

    def __init__(self, *, oslo: Chapter, lead: User, today: date, now: datetime) -> None:
        self.oslo, self.lead, self.today, self.now = oslo, lead, today, now
        self.organisation = oslo.organisation
        self.type = CertificationType.objects.create(organisation=self.organisation, code="course", required=True)
        self.job = CronJob.objects.create(
            organisation=self.organisation, name="0", timezone="Europe/Oslo", slots_from=now
        )
        self.run = self._run()
        self.run.save()
        self.mentor = self._mentor(0)
        self.mentor.save()
        self.written = 0

    def fill_up_to(self, total: int) -> None:
        numbers = range(self.written + 1, total + 1)
        self.written = total
        mentors = Mentor.objects.bulk_create(self._mentor(number) for number in numbers)
        Certification.objects.bulk_create(
            Certification(
                mentor=mentor,
                type=self.type,
                issued_on=self.today - timedelta(days=300),
                expires_on=self.today + timedelta(days=number % 30),
            )
            for number, mentor in zip(numbers, mentors, strict=True)
        )
        Exemption.objects.bulk_create(
            Exemption(
                mentor=mentor,
                type=self.type,
                from_on=self.today,
                until_on=self.today,
                reason="x",
                approved_by=self.lead,
            )
            for mentor in mentors
        )
        Chapter.objects.bulk_create(
            Chapter(organisation=self.organisation, name=f"Chapter {number}", slug=f"chapter-{number}")
            for number in numbers
        )
        CertificationType.objects.bulk_create(
            CertificationType(organisation=self.organisation, code=f"type-{number}", name="x") for number in numbers
        )
        CronJob.objects.bulk_create(
            CronJob(organisation=self.organisation, name=str(number), timezone="Europe/Oslo", slots_from=self.now)
            for number in numbers
        )
        Run.objects.bulk_create(self._run() for _ in numbers)
        RunItem.objects.bulk_create(self._item(number, mentor) for number, mentor in zip(numbers, mentors, strict=True))
        StatusChange.objects.bulk_create(
            StatusChange(mentor=self.mentor, from_status="active", to_status="paused", at=self.now, actor=self.lead)
            for _ in numbers
        )
        Notification.objects.bulk_create(self._message(number) for number in numbers)

    def _mentor(self, number: int) -> Mentor:
        return Mentor(organisation=self.organisation, chapter=self.oslo, ref=str(number), name=f"Mentor {number}")

    def _run(self) -> Run:
        return Run(
            organisation=self.organisation, cron_job=self.job, business_date=self.today, trigger=Run.Trigger.MANUAL,
            actions=["remind"], status=Run.Status.SUCCEEDED, created_at=self.now, finished_at=self.now,
        )  # fmt: skip

    def _item(self, number: int, mentor: Mentor) -> RunItem:
        return RunItem(
            run=self.run, action=Action.REMIND, dedupe_key=str(number), mentor=mentor, at=self.now,
            status=RunItem.Status.DONE,
        )  # fmt: skip

    def _message(self, number: int) -> Notification:
        return Notification(
            dedupe_key=str(number), organisation=self.organisation, kind=Notification.Kind.PAUSE, language="nb",
            channel=INBOX, recipient_user=self.lead, about=self.mentor, created_at=self.now,
            context={"events": [{"kind": "pause", "types": "course"}]}, status=Notification.Status.SENT,
        )  # fmt: skip


@pytest.fixture
def rows(oslo: Chapter, olav: User, today: date, now: datetime) -> Rows:
    return Rows(oslo=oslo, lead=olav, today=today, now=now)


def test_a_list_of_forty_asks_as_often_as_one_of_ten(rows: Rows, hlf: Organisation, olav: User) -> None:
    client = by_token(olav)
    ids = {"chapter": rows.oslo.pk, "mentor": rows.mentor.pk, "job": rows.job.pk, "run": rows.run.pk}
    addresses = [f"/api/v1/{path.format(**ids)}" for path in LISTS]

    def ask() -> dict[str, int]:
        return {address: count_queries(partial(client.get, address)) for address in addresses}

    rows.fill_up_to(10)
    for_ten = ask()
    rows.fill_up_to(40)
    for_forty = ask()

    assert for_forty == for_ten
    assert max(for_ten.values()) <= MOST, for_ten
