"""A coordinator's calendar: what is in it and what is not, whose it is, and when its address ends."""

from __future__ import annotations

import json
import logging
import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from icalendar import Calendar, Component, Event
from structlog.testing import capture_logs

from certifications import ical
from certifications.ical import build_calendar, find_feed_owner, make_feed, revoke_feed
from certifications.models import CalendarFeed, Certification, CertificationType
from certifications.recording import revoke_certification
from config.redaction import redact_record
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.models import Preference
from tests.conftest import NOW, Certify, Enrol
from tests.support.calendar import SITE, address_of

pytestmark = pytest.mark.django_db

CONTROLS = "".join(map(chr, [*range(1, 32), *range(127, 160)]))  # which the database refuses in a chapter's name


@pytest.fixture(autouse=True)
def public_url(settings: Any) -> None:
    settings.PUBLIC_URL = SITE
    settings.MESSAGE_ID_DOMAIN = "nattevakt.example"


def says(component: Component, name: str) -> str:
    return str(component[name])


def events_of(user: User) -> list[Event]:
    return Calendar.from_ical(build_calendar(user, now=NOW)).events


def summaries_of(user: User) -> list[str]:
    return [says(event, "summary") for event in events_of(user)]


class TestWhatIsInIt:
    def test_a_day_for_a_certification_in_the_words_of_its_owner(
        self, kari: User, mentor: Mentor, certify: Certify
    ) -> None:
        Preference.objects.create(user=kari, language="en")
        certification = certify(mentor, expires_in=14, number="K-7")

        [event] = events_of(kari)

        assert {name: value.to_ical() for name, value in event.items()} == {
            "UID": f"certification-{certification.pk}@nattevakt.example".encode(),
            "DTSTAMP": f"{certification.updated_at:%Y%m%dT%H%M%SZ}".encode(),
            "DTSTART": b"20261205",
            "SUMMARY": b"Kurs expires: Liv Moe",
            "DESCRIPTION": (rf"Number: K-7\nChapter: Oslo\n{SITE}/admin/mentors/mentor/{mentor.pk}/change/".encode()),
            "STATUS": b"CONFIRMED",
            "TRANSP": b"TRANSPARENT",
        }
        assert event["dtstart"].params == {"VALUE": "DATE"}

    def test_the_day_is_the_last_on_which_it_is_valid(
        self, kari: User, mentor: Mentor, certify: Certify, hlf: Organisation, today: date
    ) -> None:
        certify(mentor, expires_in=14)
        Organisation.objects.update(valid_through_expiry_day=False)

        [event] = events_of(kari)

        assert event.start == today + timedelta(days=13)

    def test_it_reaches_from_a_month_ago_to_a_year_and_a_month_ahead_and_soonest_is_first(
        self, kari: User, enrol: Enrol, certify: Certify
    ) -> None:
        for days in (401, 400, 0, -30, -31, None):
            certify(enrol(name=f"in {days}"), expires_in=days, issued=-900)

        assert [summary.partition(": ")[2] for summary in summaries_of(kari)] == ["in -30", "in 0", "in 400"]

    def test_what_needs_nobodys_care_is_left_out(
        self, kari: User, enrol: Enrol, certify: Certify, sign_language: CertificationType, now: datetime
    ) -> None:
        certify(enrol(name="Ended", status="ended"), expires_in=5)
        certify(enrol(name="Revoked"), expires_in=5, revoked_at=now)
        renewed = enrol(name="Renewed")
        certify(renewed, expires_in=5)
        certify(renewed, expires_in=900, issued=5)
        certify(renewed, expires_in=9, type=sign_language)
        certify(enrol(name="Paused", status="paused", pause_cause="manual"), expires_in=7)

        assert [summary.partition(": ")[2] for summary in summaries_of(kari)] == ["Paused", "Renewed"]

    @pytest.mark.parametrize(("valid_through", "begins_in", "days"), [(True, 6, 0), (True, 7, 1), (False, 6, 1)])
    def test_a_renewal_counts_if_it_leaves_no_gap(
        self,
        kari: User,
        mentor: Mentor,
        certify: Certify,
        hlf: Organisation,
        valid_through: bool,
        begins_in: int,
        days: int,
    ) -> None:
        Organisation.objects.update(valid_through_expiry_day=valid_through)
        certify(mentor, expires_in=5)
        certify(mentor, issued=begins_in, expires_in=900)

        assert len(events_of(kari)) == days

    def test_any_name_is_one_line_of_text(self, kari: User, enrol: Enrol, certify: Certify, oslo: Chapter) -> None:
        name = "Åse; Bø, \\n Æ" + " Øvre" * 30
        CertificationType.objects.update(name="Kurs\r\nBEGIN:VALARM")
        Chapter.objects.update(name="Oslo\u2028BEGIN:VALARM")
        certify(enrol(name=name), expires_in=5)

        raw = build_calendar(kari, now=NOW)
        [event] = Calendar.from_ical(raw).events

        assert max(len(line) for line in raw.split(b"\r\n")) <= 75
        assert says(event, "summary").endswith(f": {name}")
        assert raw.count(b"\r\nBEGIN:") == 1
        assert not re.search(rb"(?<!\r)\n", raw)

    @pytest.mark.parametrize(
        "end", ["\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "\x1b", "\u202e"]
    )
    def test_no_stored_name_ends_a_line_for_any_program(
        self, kari: User, enrol: Enrol, certify: Certify, oslo: Chapter, end: str
    ) -> None:
        hostile = f"A{end}END:VEVENT{end}BEGIN:VEVENT"
        certification = certify(enrol(name="Liv"), expires_in=5, number="K7")
        Mentor.objects.update(name=hostile)
        Certification.objects.filter(pk=certification.pk).update(number=hostile)
        CertificationType.objects.update(name=hostile)
        Chapter.objects.filter(pk=oslo.pk).update(
            name=f"Oslo\u2028{hostile}".translate({ord(c): " " for c in CONTROLS})
        )

        raw = build_calendar(kari, now=NOW)

        lines = raw.decode().splitlines()  # which ends a line at each of these
        assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 1
        assert raw.decode().split("\r\n")[:-1] == lines
        assert says(Calendar.from_ical(raw).events[0], "summary").count("A END:VEVENT BEGIN:VEVENT") == 2

    def test_the_calendar_has_what_programs_ask_for(self, kari: User, mentor: Mentor, certify: Certify) -> None:
        Preference.objects.create(user=kari, language="en")
        certify(mentor)

        raw = build_calendar(kari, now=NOW)
        whole = Calendar.from_ical(raw)

        assert (whole["version"], whole["prodid"]) == ("2.0", "-//Nattevakt//Nattevakt//EN")
        assert whole["x-wr-calname"] == whole["name"] == "Certifications that expire – HLF"
        assert whole["description"] == "Of the mentors whom you look after, for 400 days ahead."
        assert b"\r\nREFRESH-INTERVAL;VALUE=DURATION:PT6H\r\nX-PUBLISHED-TTL:PT6H\r\n" in raw

    def test_it_is_the_same_while_nothing_changes(self, kari: User, mentor: Mentor, certify: Certify) -> None:
        certify(mentor)

        assert build_calendar(kari, now=NOW) == build_calendar(kari, now=NOW + timedelta(hours=3))

    def test_without_a_public_address_there_is_no_link(
        self, kari: User, mentor: Mentor, certify: Certify, settings: Any
    ) -> None:
        settings.PUBLIC_URL = ""
        certify(mentor, number="")

        [event] = events_of(kari)

        assert "\n" not in says(event, "description")

    def test_of_too_many_the_first_are_there_and_it_says_so(
        self, kari: User, enrol: Enrol, certify: Certify, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Preference.objects.create(user=kari, language="en")
        monkeypatch.setattr(ical, "MOST", 2)
        for days in (3, 1):
            certify(enrol(name=f"in {days}"), expires_in=days)
        just_enough = Calendar.from_ical(build_calendar(kari, now=NOW))
        certify(enrol(name="in 2"), expires_in=2)

        cut = Calendar.from_ical(build_calendar(kari, now=NOW))

        assert "There are more" not in says(just_enough, "description")
        assert says(cut, "description").endswith("There are more: these are the first 2.")
        assert [says(event, "summary") for event in cut.events] == ["Kurs expires: in 1", "Kurs expires: in 2"]

    def test_many_cost_as_many_queries_as_one(
        self, client: Client, kari: User, enrol: Enrol, certify: Certify, django_assert_num_queries: Any
    ) -> None:
        address = address_of(kari)
        for _ in range(40):
            certify(enrol(), expires_in=5)
        client.get(address)  # which fills what a process remembers

        with django_assert_num_queries(5):
            answer = client.get(address)

        assert answer.content.count(b"BEGIN:VEVENT") == 40


class TestScope:
    @pytest.fixture(autouse=True)
    def _everywhere(self, enrol: Enrol, certify: Certify, bergen: Chapter, elsewhere: Chapter) -> None:
        certify(enrol(name="Oslo's"), expires_in=5)
        certify(enrol(name="Bergen's", chapter=bergen), expires_in=6)
        other = elsewhere.organisation
        theirs = Mentor.objects.create(organisation=other, chapter=elsewhere, ref="M1", name="Others'")
        type = CertificationType.objects.create(organisation=other, code="kurs", name="Kurs")
        certify(theirs, type=type, expires_in=7)

    def test_each_has_the_mentors_whom_they_look_after(self, kari: User, olav: User) -> None:
        assert [summary.partition(": ")[2] for summary in summaries_of(kari)] == ["Oslo's"]
        assert [summary.partition(": ")[2] for summary in summaries_of(olav)] == ["Oslo's", "Bergen's"]

    def test_a_role_that_ends_takes_its_mentors_along(self, client: Client, kari: User, bergen: Chapter) -> None:
        address = address_of(kari)
        CoordinatorRole.objects.create(user=kari, organisation=bergen.organisation, chapter=bergen)
        both = client.get(address)
        kari.roles.filter(chapter__name="Oslo").delete()

        one = client.get(address)

        assert (both.content.count(b"BEGIN:VEVENT"), one.content.count(b"BEGIN:VEVENT")) == (2, 1)
        assert "Bergen's" in one.content.decode()


class TestAddress:
    def test_it_gives_the_calendar_to_whoever_has_it_and_to_no_cache_but_theirs(
        self, client: Client, kari: User, mentor: Mentor, certify: Certify
    ) -> None:
        certify(mentor)
        address = address_of(kari)

        answer = client.get(address)
        again = client.get(address, headers={"If-None-Match": answer["ETag"]})

        assert (answer.status_code, answer["Content-Type"]) == (200, "text/calendar; charset=utf-8")
        assert answer.content == build_calendar(kari, now=NOW)
        assert (answer["Cache-Control"], answer["X-Robots-Tag"]) == ("no-store", "noindex")
        assert (again.status_code, again.content) == (304, b"")
        assert not answer.cookies
        assert re.fullmatch(r"/c/[-\w]{43}/nattevakt\.ics", address)

    def test_a_revocation_is_seen_though_the_calendar_is_at_hand(
        self, client: Client, kari: User, mentor: Mentor, certify: Certify
    ) -> None:
        certification = certify(mentor)
        address = address_of(kari)
        before = client.get(address)

        revoke_certification(certification, reason="By mistake.", actor=kari, now=NOW)

        after = client.get(address, headers={"If-None-Match": before["ETag"]})
        assert (after.status_code, b"VEVENT" in after.content) == (200, False)

    def test_only_its_digest_is_kept(self, kari: User) -> None:
        token = make_feed(kari, now=NOW)

        feed = CalendarFeed.objects.get()
        assert (feed.user, feed.created_at) == (kari, NOW)
        assert re.fullmatch("[0-9a-f]{64}", feed.digest)
        assert find_feed_owner(token) == kari
        assert find_feed_owner(feed.digest) is None

    def test_a_new_one_ends_the_old(self, client: Client, kari: User) -> None:
        old, new = address_of(kari), address_of(kari)

        assert [client.get(address).status_code for address in (old, new)] == [404, 200]
        assert CalendarFeed.objects.count() == 1

    def test_a_revoked_one_is_nobodys(self, client: Client, kari: User, olav: User) -> None:
        revoked, other = address_of(kari), address_of(olav)

        assert (revoke_feed(kari), revoke_feed(kari)) == (True, False)

        assert [client.get(address).status_code for address in (revoked, other)] == [404, 200]

    def test_one_of_somebody_who_is_no_coordinator_any_more_is_404(
        self, client: Client, kari: User, olav: User, auditor: User
    ) -> None:
        addresses = [address_of(user) for user in (kari, olav, auditor)]
        kari.roles.all().delete()
        User.objects.filter(pk=olav.pk).update(is_active=False)

        assert [client.get(address).status_code for address in addresses] == [404] * 3

    @pytest.mark.parametrize("token", ["x", "%00", "æ", "a" * 300, "' OR 1=1"])
    def test_one_that_was_guessed_is_404(self, client: Client, kari: User, token: str) -> None:
        make_feed(kari, now=NOW)

        assert client.get(f"/c/{token}/nattevakt.ics").status_code == 404

    def test_it_is_in_no_log(self, client: Client, kari: User, caplog: pytest.LogCaptureFixture) -> None:
        with capture_logs() as ours:
            token = make_feed(kari, now=NOW)
            address = reverse("calendar_feed", args=[token])
            client.get(address)
            client.post(address)
            revoke_feed(kari)
            with caplog.at_level(logging.DEBUG):
                client.get(address)

        foreign = [redact_record(record) for record in caplog.records]
        assert {"calendar_address_made", "calendar_address_revoked"} <= {line["event_name"] for line in ours}
        assert any("Not Found" in line for line in foreign)
        assert token not in json.dumps([ours, foreign])

    def test_it_is_only_read(self, client: Client, kari: User) -> None:
        assert client.post(address_of(kari)).status_code == 405
