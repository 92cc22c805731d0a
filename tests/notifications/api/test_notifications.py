"""The inbox through the API: everybody's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from mentors.models import Mentor, Organisation, User
from notifications.models import Notification
from notifications.outbox import Event
from notifications.service import get_notification_service
from tests.conftest import Api, Enrol
from tests.support.api import by_token
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db

URL = "/api/v1/notifications"


@pytest.fixture
def client(api: Api, kari: User) -> APIClient:
    return api(kari)


def tell_of_a_pause(mentor: Mentor, *, now: datetime) -> Notification:
    """Tell the mentor's coordinators; return the message in the inbox."""
    key = f"pause:{mentor.pk}:{Notification.objects.count()}"
    event = Event(kind=Notification.Kind.PAUSE, mentor_id=mentor.pk, key=key, facts={"types": "likepersonkurs"})
    get_notification_service().announce([event], organisation=mentor.organisation, now=now)
    return Notification.objects.get(channel="inbox", kind="pause", dedupe_key__startswith=f"{key}:")


def test_a_message_is_shown_whole_in_its_own_language(
    client: APIClient, kari: User, hlf: Organisation, mentor: Mentor, now: datetime
) -> None:
    hlf.language = "en"
    hlf.save()
    told = tell_of_a_pause(mentor, now=now)

    answer = client.get(f"{URL}/{told.pk}").json()

    first, *more = answer.pop("text").split("\n\n")
    assert first == "Liv Moe in Oslo is paused, because this is not valid any more: likepersonkurs."
    assert "take over" in more[-1]
    assert answer == {
        "id": told.pk,
        "kind": "pause",
        "subject": "Liv Moe is paused",
        "organisation": "hlf",
        "mentor": mentor.pk,
        "run": None,
        "created_at": "2026-11-21T11:00:00Z",
        "read_at": None,
    }


def test_the_newest_comes_first_and_unread_ones_can_be_asked_for(
    client: APIClient, kari: User, mentor: Mentor, now: datetime
) -> None:
    older, newer = tell_of_a_pause(mentor, now=now), tell_of_a_pause(mentor, now=now)
    client.post(f"{URL}/{older.pk}/read")

    def found(query: str) -> list[int]:
        return [row["id"] for row in client.get(f"{URL}?{query}").json()["results"]]

    hints = set(Notification.objects.filter(kind="handover").values_list("pk", flat=True))
    assert [pk for pk in found("") if pk not in hints] == [newer.pk, older.pk]
    assert [pk for pk in found("unread=true") if pk not in hints] == [newer.pk]
    assert found("unread=false") == [older.pk]
    assert client.get(f"{URL}/unread-count").json() == {"unread": 1 + len(hints)}


def test_reading_again_keeps_when_it_was_read_first(
    client: APIClient, kari: User, mentor: Mentor, now: datetime, clock: time_machine.Traveller
) -> None:
    told = tell_of_a_pause(mentor, now=now)
    clock.move_to(now, tick=False)
    client.post(f"{URL}/{told.pk}/read")
    clock.shift(timedelta(hours=1))

    answer = client.post(f"{URL}/{told.pk}/read")

    assert (answer.status_code, answer.json()["read_at"]) == (200, "2026-11-21T11:00:00Z")
    assert client.post(f"{URL}/{told.pk}/read", {"read": False}).status_code == 400


def test_nobody_sees_or_reads_the_messages_of_another(
    api: Api, kari: User, olav: User, auditor: User, mentor: Mentor, now: datetime
) -> None:
    told = tell_of_a_pause(mentor, now=now)

    for user in (olav, auditor, User.objects.create_superuser("root")):
        stranger = api(user)
        assert stranger.get(URL).json()["results"] == []
        assert stranger.get(f"{URL}/unread-count").json() == {"unread": 0}
        assert stranger.get(f"{URL}/{told.pk}").status_code == 404
        assert stranger.post(f"{URL}/{told.pk}/read").status_code == 404
    told.refresh_from_db()
    assert told.read_at is None
    assert api().get(URL).status_code == 401


def test_an_auditor_reads_a_message_of_their_own(api: Api, hlf: Organisation, auditor: User, now: datetime) -> None:
    told = Notification.objects.create(
        dedupe_key="1", organisation=hlf, kind="late", channel="inbox", recipient_user=auditor, created_at=now
    )

    answer = api(auditor).post(f"{URL}/{told.pk}/read")

    assert (answer.status_code, answer.json()["mentor"]) == (200, None)


def test_an_e_mail_is_not_in_the_inbox(client: APIClient, hlf: Organisation, kari: User, now: datetime) -> None:
    sent = Notification.objects.create(
        dedupe_key="1", organisation=hlf, kind="late", channel="email", recipient_user=kari, created_at=now
    )

    assert client.get(URL).json()["count"] == 0
    assert client.get(f"{URL}/{sent.pk}").status_code == 404


@pytest.mark.parametrize(
    ("query", "attr"),
    [("unread=yes", "unread"), ("page=0", "page"), ("read=true", "read"), ("ordering=id", "ordering")],
)
def test_a_query_that_is_wrong_is_refused_by_name(client: APIClient, query: str, attr: str) -> None:
    answer = client.get(f"{URL}?{query}")

    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr)


def test_forty_cost_as_many_queries_as_ten(kari: User, enrol: Enrol, now: datetime) -> None:
    client = by_token(kari)

    def ask() -> Any:
        return client.get(f"{URL}?page_size=200")

    for _ in range(5):  # each is told as a pause and as a handover
        tell_of_a_pause(enrol(), now=now)
    ten = count_queries(ask)
    for _ in range(15):
        tell_of_a_pause(enrol(), now=now)
    forty = count_queries(ask)

    assert forty == ten <= 8
    assert len(ask().json()["results"]) == 40
