"""How often a host is sent to, by all workers together."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from notifications import rates
from notifications.models import HostBudget
from notifications.rates import PATIENCE, reserve

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_a_second(settings: Any) -> None:
    settings.DELIVERY_RATES = {"mail.example": timedelta(seconds=0.5)}


def test_a_host_without_a_limit_takes_all_at_once(now: datetime) -> None:
    reservation = reserve("other.example", 100, now=now)

    assert reservation.count == 100
    assert [reservation.seconds_until_next() for _ in range(100)] == [0.0] * 100
    assert not HostBudget.objects.exists()


def test_a_star_limits_every_other_host(settings: Any, now: datetime) -> None:
    settings.DELIVERY_RATES |= {"*": timedelta(seconds=5)}

    assert reserve("other.example", 100, now=now).count == 3  # now, in 5 and in 10 seconds
    assert reserve("mail.example", 100, now=now).count == 21


def test_a_batch_gets_what_fits_into_the_patience_and_the_rest_its_time(now: datetime) -> None:
    reservation = reserve("mail.example", 100, now=now)

    assert reservation.count == 21
    assert reservation.next_at == now + PATIENCE + timedelta(seconds=0.5)


def test_the_messages_of_a_batch_are_spaced(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "monotonic", lambda: 1000.0)
    reserve("mail.example", 2, now=now)

    second = reserve("MAIL.example", 3, now=now)

    second._began = 1000.0
    assert [second.seconds_until_next() for _ in range(3)] == [1.0, 1.5, 2.0]


def test_another_batch_waits_behind_the_first(now: datetime) -> None:
    reserve("mail.example", 100, now=now)

    too_early = reserve("mail.example", 100, now=now)
    later = reserve("mail.example", 100, now=now + timedelta(minutes=1))

    assert too_early.count == 0
    assert later.count == 21


def test_what_was_not_used_is_not_saved_up(now: datetime) -> None:
    reserve("mail.example", 1, now=now - timedelta(days=1))

    assert reserve("mail.example", 100, now=now).count == 21


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_get_the_same_places(now: datetime) -> None:
    counts: list[int] = []

    def work() -> None:
        try:
            counts.append(reserve("mail.example", 15, now=now).count)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(counts) == 21
