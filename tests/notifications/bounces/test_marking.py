"""What is marked as bad, and who is told of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection

from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.bounces import mark_app_gone, mark_bad
from notifications.delivery import deliver_batch
from notifications.models import BadAddress, Notification, Preference, Webhook
from tests.conftest import Enrol
from tests.support.bounces import marked, told, write_message


@pytest.mark.django_db
class TestMarking:
    def test_the_coordinators_of_whoever_has_the_address_are_told(
        self, hlf: Organisation, enrol: Enrol, bergen: Chapter, kari: User, olav: User, now: datetime
    ) -> None:
        enrol(ref="M-oslo", email="Office@Example.org")
        enrol(ref="M-bergen", email="office@example.org", chapter=bergen)
        enrol(ref="M-ended", email="office@example.org", status="ended")
        enrol(ref="M-other")

        mark_bad("email", "OFFICE@example.org", reason="550 5.1.1 No such user", now=now)

        assert marked() == [("email", "office@example.org")]
        assert told() == [("kari", "M-oslo"), ("olav", "M-bergen")]
        assert Notification.objects.filter(kind="bounced").first().context == {"reason": "550 5.1.1 No such user"}  # type: ignore[union-attr]

    def test_a_second_report_does_nothing(self, mentor: Mentor, enrol: Enrol, kari: User, now: datetime) -> None:
        mark_bad("email", mentor.email, reason="first", now=now)
        enrol(email=mentor.email)
        mark_bad("email", mentor.email.upper(), reason="second", now=now + timedelta(days=1))

        assert BadAddress.objects.get().reason == "first"
        assert told() == [("kari", "M0")]

    def test_what_is_removed_and_comes_back_again_is_told_again(
        self, mentor: Mentor, kari: User, now: datetime
    ) -> None:
        mark_bad("email", mentor.email, reason="first", now=now)
        BadAddress.objects.all().delete()
        mark_bad("email", mentor.email, reason="second", now=now)

        assert told() == [("kari", "M0")] * 2

    @pytest.mark.parametrize(
        ("fields", "preference", "marks", "is_told"),
        [
            ({"phone": "+4791234567"}, None, "+4791234567", True),
            ({"phone": "+4791234567"}, {"channel": "sms", "address": "+4799999999"}, "+4799999999", True),
            ({}, {"channel": "email", "address": "+4799999999"}, "+4799999999", False),
        ],
        ids=["on record", "chosen", "chosen on another channel"],
    )
    def test_a_phone_is_an_address_too(
        self,
        enrol: Enrol,
        kari: User,
        now: datetime,
        fields: dict[str, str],
        preference: dict[str, str] | None,
        marks: str,
        is_told: bool,
    ) -> None:
        mentor = enrol(**fields)
        if preference:
            Preference.objects.create(mentor=mentor, **preference)

        mark_bad("sms", marks, reason="unknown number", now=now)

        assert told() == ([("kari", mentor.ref)] if is_told else [])

    def test_of_a_chapter_without_coordinators_operations_are_told(self, mentor: Mentor, now: datetime) -> None:
        mark_bad("email", mentor.email, reason="550", now=now)

        assert list(Notification.objects.values_list("kind", "channel")) == [("no_coordinator", "operations")]

    def test_of_a_coordinator_the_organisation_wide_ones_and_operations_are_told(
        self, kari: User, olav: User, elsewhere: Chapter, now: datetime
    ) -> None:
        kari.first_name, kari.last_name = "Kari", "Li"
        kari.save()
        CoordinatorRole.objects.create(user=kari, organisation=elsewhere.organisation)

        mark_bad("email", "KARI@example.org", reason="550 5.1.1", now=now)

        by_mail = Notification.objects.filter(kind="bounced", channel="email", organisation__slug="hlf")
        assert [row.recipient_user for row in by_mail] == [olav]
        assert by_mail[0].context == {"reason": "550 5.1.1", "name": "Kari Li"}
        warned = Notification.objects.filter(kind="bounced", channel="operations").order_by("organisation")
        assert sorted(row.organisation.slug for row in warned) == ["hlf", "other"]

    def test_a_coordinator_whose_address_it_is_not_any_more_is_nobody(self, kari: User, now: datetime) -> None:
        kari.roles.all().delete()
        User.objects.create_user("revisor", email="revisor@example.org", is_active=False)

        mark_bad("email", "kari@example.org", reason="550", now=now)
        mark_bad("email", "revisor@example.org", reason="550", now=now)

        assert len(marked()) == 2
        assert Notification.objects.count() == 0

    def test_nothing_more_is_sent_there_not_even_that_it_is_bad(
        self, hlf: Organisation, olav: User, always_open: None, now: datetime
    ) -> None:
        waiting = write_message(hlf, now, recipient_user=olav, kind="digest", status="queued", next_attempt_at=now)

        mark_bad("email", "olav@example.org", reason="550", now=now)
        deliver_batch(now=now, recheck_messages=lambda _messages: {})

        waiting.refresh_from_db()
        assert mail.outbox == []
        assert (waiting.status, waiting.error.in_english()[:26]) == ("failed", "The address is marked as b")

    def test_the_address_of_operations_is_never_marked(self, now: datetime) -> None:
        mark_bad("operations", "operations@example.org", reason="550", now=now)

        assert marked() == []

    def test_the_reason_names_nobody_and_is_one_line_that_the_database_takes(
        self, mentor: Mentor, kari: User, now: datetime
    ) -> None:
        reason = "550 <Liv@Example.org>: liv is\r\n\x00 not \ud800here, nor liv.privat@example.com; olive is"

        mark_bad("email", mentor.email, reason=reason, now=now)

        assert BadAddress.objects.get().reason == "550 <…>: … is not here, nor …; olive is"

    def test_if_the_coordinators_cannot_be_told_nothing_is_marked(
        self, mentor: Mentor, now: datetime, settings: Any
    ) -> None:
        settings.NOTIFICATION_SERVICE = f"{__name__}.Mute"

        with pytest.raises(RuntimeError):
            mark_bad("email", mentor.email, reason="550", now=now)

        assert marked() == []


class Mute:
    """A notification service, as an installation may put one in place, that fails."""

    def tell_coordinators(self, kind: str, **_fields: Any) -> None:
        raise RuntimeError(kind)


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_mark_the_same_address_one_tells(mentor: Mentor, kari: User, now: datetime) -> None:
    def mark(_worker: int) -> None:
        try:
            mark_bad("email", mentor.email, reason="550", now=now)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(mark, range(8)))

    assert marked() == [("email", "liv@example.org")]
    assert told() == [("kari", "M0")]


@pytest.mark.django_db
class TestAppGone:
    @pytest.fixture
    def webhook(self, hlf: Organisation) -> Webhook:
        return Webhook.objects.create(organisation=hlf, url="https://app.example.org:8443/hook?key=secret")

    def test_it_is_noted_and_told_once(self, hlf: Organisation, olav: User, webhook: Webhook, now: datetime) -> None:
        mark_app_gone(hlf, now=now)
        mark_app_gone(Organisation.objects.get(), now=now + timedelta(minutes=1))

        webhook.refresh_from_db()
        assert webhook.gone_at == now
        warnings = Notification.objects.filter(kind="app_gone")
        assert sorted(row.channel for row in warnings) == ["email", "inbox", "operations"]
        assert all(row.context == {"host": "app.example.org"} for row in warnings)

    def test_it_is_told_again_when_it_goes_again(self, hlf: Organisation, webhook: Webhook, now: datetime) -> None:
        mark_app_gone(hlf, now=now)
        Webhook.objects.update(gone_at=None)
        mark_app_gone(hlf, now=now + timedelta(days=1))

        assert Notification.objects.filter(kind="app_gone", channel="operations").count() == 2

    def test_one_that_has_moved_meanwhile_is_not_gone(self, hlf: Organisation, webhook: Webhook, now: datetime) -> None:
        asked = Organisation.objects.select_related("webhook").get()
        Webhook.objects.update(url="https://new.example.org/hook")

        mark_app_gone(asked, now=now)

        webhook.refresh_from_db()
        assert webhook.gone_at is None
        assert Notification.objects.count() == 0

    def test_an_organisation_without_an_app_has_none_that_could_go(self, hlf: Organisation, now: datetime) -> None:
        mark_app_gone(hlf, now=now)

        assert Notification.objects.count() == 0
