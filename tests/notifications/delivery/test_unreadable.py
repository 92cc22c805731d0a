"""A row that cannot be read, or checked, fails alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from certifications.recheck import recheck_messages
from mentors.models import Organisation
from notifications.delivery import deliver_batch
from notifications.models import Notification, Webhook
from tests.support.delivery import Write, deliver, fate
from tests.support.mail import MailServer

pytestmark = pytest.mark.django_db

FIFTY = 50
BAD_CONTEXTS = [
    pytest.param({"events": [{"kind": "resume"}, {"kind": "no such kind"}]}, id="a kind that nobody knows"),
    pytest.param({"events": [{"kind": "remind", "key": "x"}]}, id="a reminder of nothing"),
    pytest.param({"events": 7}, id="no list"),
]


@pytest.mark.parametrize("context", BAD_CONTEXTS)
def test_of_fifty_one_the_fifty_that_can_be_read_are_sent(
    write: Write, post: MailServer, now: datetime, context: dict[str, Any]
) -> None:
    rows = [write() for _ in range(FIFTY // 2)]
    bad = write()
    rows += [write() for _ in range(FIFTY // 2)]
    Notification.objects.filter(pk=bad.pk).update(context=context)

    deliver(now)

    assert {fate(row)[0] for row in rows} == {"sent"}
    assert len(post.received) == FIFTY
    status, error = fate(bad)
    assert status == "queued"
    assert error.endswith("Error")


def test_one_that_stays_unreadable_ends_among_the_dead_letters(write: Write, now: datetime) -> None:
    bad = write()
    Notification.objects.update(context={"events": 7}, attempts=11)

    deliver(now)

    assert fate(bad) == ("failed", "Given up after 12 attempts: TypeError")


def test_a_value_that_no_program_can_read_stops_only_its_row(write: Write, post: MailServer, now: datetime) -> None:
    """PostgreSQL keeps years that Python does not know."""
    good, bad = write(), write()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE notifications_notification SET created_at = '12026-01-01' WHERE id = %s RETURNING id", [bad.pk]
        )

    deliver_batch(now=now, recheck_messages=recheck_messages)

    assert fate(good)[0] == "sent"
    assert Notification.objects.filter(pk=bad.pk).values_list("status", flat=True).get() == "queued"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://[bad", id="no address"),
        pytest.param(f"https://{'a' * 300}.example", id="a host too long for its budget"),
    ],
)
def test_an_app_whose_address_makes_no_sense_stops_only_its_own_messages(
    always_open: Organisation, write: Write, post: MailServer, now: datetime, url: str, settings: Any
) -> None:
    settings.DELIVERY_RATES = {"*": timedelta(milliseconds=1)}
    to_the_app, by_mail = write(), write()
    Webhook.objects.create(organisation=always_open, url=url)  # past every form
    Notification.objects.filter(pk=to_the_app.pk).update(channel="webhook")

    deliver_batch(now=now, recheck_messages=recheck_messages)

    assert fate(by_mail)[0] == "sent"
    assert fate(to_the_app)[0] == "queued"
