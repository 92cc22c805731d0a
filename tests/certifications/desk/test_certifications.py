"""Certifications at the desk: renewing, revoking, and the list."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certifications.models import Certification, CertificationType, Exemption
from mentors.models import Mentor, User
from tests.conftest import NOW, Certify, Desk, Enrol
from tests.support.desk import EXPIRED, page, text

pytestmark = pytest.mark.django_db
LIST = "/admin/certifications/certification/"


class TestOne:
    def test_a_renewal_says_that_the_mentor_is_active_again(
        self, desk: Desk, kari: User, enrol: Enrol, certify: Certify, course: CertificationType, today: date
    ) -> None:
        CertificationType.objects.update(validity_months=12)
        mentor = enrol(name="Liv Moe", **EXPIRED)
        expired = certify(mentor, expires_in=-5, number="A1")

        asked = desk(kari).get(page(expired, "renew"))
        done = desk(kari).post(
            page(expired, "renew"), {"issued_on": today, "expires_on": "", "number": "A2"}, follow=True
        )

        renewal = Certification.objects.get(number="A2")
        assert 'value="2026-11-21"' in text(asked)
        assert renewal.expires_on == date(2027, 11, 20)
        assert "The renewal is recorded, and Liv Moe is active again." in text(done)

    def test_a_revocation_says_beforehand_and_afterwards_that_it_pauses(
        self, desk: Desk, kari: User, mentor: Mentor, certify: Certify
    ) -> None:
        one = certify(mentor)

        asked = desk(kari).get(page(one, "revoke"))
        done = desk(kari).post(page(one, "revoke"), {"reason": "Forged"}, follow=True)

        mentor.refresh_from_db()
        assert "the mentor is paused at once" in text(asked)
        assert (mentor.status, mentor.pause_cause) == ("paused", "certification_revoked")
        assert "Revoked, and Liv Moe is paused." in text(done)

    def test_what_is_revoked_is_read_only(
        self, desk: Desk, olav: User, mentor: Mentor, certify: Certify, today: date
    ) -> None:
        one = certify(mentor, revoked_at=NOW, revoked_reason="Forged")

        changed = desk(olav).post(page(one), {"number": "X", "issued_on": today, "expires_on": ""})
        again = desk(olav).post(page(one, "revoke"), {"reason": "x"})

        one.refresh_from_db()
        assert (changed.status_code, again.status_code) == (403, 422)
        assert one.number != "X"

    def test_one_is_recorded_for_as_long_as_its_type_says(
        self, desk: Desk, kari: User, mentor: Mentor, course: CertificationType, today: date
    ) -> None:
        CertificationType.objects.update(validity_months=12)
        written = {"mentor": mentor.pk, "type": course.pk, "number": "A1", "issued_on": today, "expires_on": ""}

        added = desk(kari).post(LIST + "add/", written)
        again = desk(kari).post(LIST + "add/", written)

        assert (added.status_code, again.status_code) == (302, 200)
        assert Certification.objects.get().expires_on == date(2027, 11, 20)

    def test_only_the_organisation_removes_one(
        self, desk: Desk, kari: User, olav: User, mentor: Mentor, certify: Certify
    ) -> None:
        one = certify(mentor)

        refused = desk(kari).post(page(one, "delete"), {"post": "yes"})
        kept = Certification.objects.exists()
        desk(olav).post(page(one, "delete"), {"post": "yes"})

        assert (refused.status_code, kept) == (403, True)
        assert not Certification.objects.exists()

    def test_an_exemption_is_granted_by_the_organisation_alone(
        self, desk: Desk, kari: User, olav: User, enrol: Enrol, certify: Certify, course: CertificationType, today: date
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-5)
        written = {"mentor": mentor.pk, "type": course.pk, "from_on": today, "until_on": today, "reason": "x"}
        url = reverse("admin:certifications_exemption_add")

        refused = desk(kari).post(url, written)
        granted = desk(olav).post(url, written)

        mentor.refresh_from_db()
        assert (refused.status_code, granted.status_code) == (403, 302)
        assert Exemption.objects.get().approved_by == olav
        assert mentor.status == Mentor.Status.ACTIVE


class TestList:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"state": "expiring"}, {"soon"}),
            ({"state": "expired"}, {"gone"}),
            ({"state": "revoked"}, {"revoked"}),
            ({"expires": "30"}, {"soon"}),
            ({"expires": "-30"}, {"gone"}),
            ({"expires": "never"}, {"open"}),
            ({"q": "liv"}, {"soon", "gone", "open", "revoked"}),
            ({"q": "soo"}, {"soon"}),
        ],
    )
    def test_it_is_narrowed_and_searched(
        self, desk: Desk, kari: User, mentor: Mentor, certify: Certify, query: dict[str, str], found: set[str]
    ) -> None:
        certify(mentor, number="soon", expires_in=10)
        certify(mentor, number="gone", expires_in=-10)
        certify(mentor, number="open", expires_in=None)
        certify(mentor, number="revoked", revoked_at=NOW)

        rows = desk(kari).get(LIST, query).context["cl"].result_list

        assert {row.number for row in rows} == found

    def test_the_number_of_queries_does_not_grow_with_it(
        self, desk: Desk, olav: User, enrol: Enrol, certify: Certify
    ) -> None:
        client = desk(olav)

        def ask(count: int) -> int:
            for _ in range(count):
                certify(enrol(), expires_in=10)
            with CaptureQueriesContext(connection) as asked:
                assert client.get(LIST, {"state": "expiring", "expires": "30"}).status_code == 200
            return len(asked)

        ask(1)  # which fills what a process remembers
        few = ask(9)

        assert ask(30) <= few <= 12

    @pytest.mark.parametrize("button", ["change", "renew", "revoke", "delete", "history"])
    def test_those_of_another_chapter_are_not_there(
        self, desk: Desk, kari: User, bergenser: Mentor, certify: Certify, button: str, today: date
    ) -> None:
        one = certify(bergenser, number="secret")
        written = {"reason": "x", "issued_on": today, "post": "yes"}

        answers = [desk(kari).get(page(one, button)), desk(kari).post(page(one, button), written)]

        assert all(answer.status_code in {302, 403, 404} for answer in answers)
        assert all("secret" not in text(answer) for answer in answers)
        assert Certification.objects.get().revoked_at is None

    def test_a_mentor_of_another_chapter_gets_none_from_her(
        self, desk: Desk, kari: User, bergenser: Mentor, course: CertificationType, today: date
    ) -> None:
        desk(kari).post(LIST + "add/", {"mentor": bergenser.pk, "type": course.pk, "issued_on": today})

        assert not Certification.objects.exists()

    @pytest.mark.parametrize("query", ["q=secret", "mentor__chapter__id__exact={bergen}"])
    def test_no_search_and_no_filter_finds_them(
        self, desk: Desk, kari: User, bergenser: Mentor, certify: Certify, query: str
    ) -> None:
        certify(bergenser, number="secret-1")

        answer = desk(kari).get(f"{LIST}?{query.format(bergen=bergenser.chapter_id)}", follow=True)

        assert "secret-1" not in text(answer)
