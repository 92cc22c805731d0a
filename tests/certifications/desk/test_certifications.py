"""Certifications at the desk: renewing, revoking, a whole course, and extending many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certifications.models import Certification, CertificationType, Exemption, Extension
from mentors.desk import previewing
from mentors.models import Chapter, Mentor, User
from tests.conftest import NOW, Certify, Enrol

pytestmark = pytest.mark.django_db
EXPIRED = {"status": "paused", "pause_cause": "certification_expired"}
LIST = "/admin/certifications/certification/"
COURSE, EXTEND = LIST + "course/", LIST + "extend/"


@pytest.fixture(autouse=True)
def noon(settings: Any) -> Iterator[None]:
    """It is noon in Oslo, and nobody asks for a second factor."""
    settings.SECURE_SSL_REDIRECT = False
    settings.SECOND_FACTOR_REQUIRED = False
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def desk() -> Any:
    """Return a client that is logged in as the user: `desk(kari).get(LIST)`."""

    def log_in(user: User) -> Client:
        client = Client(headers={"Accept-Language": "en"})
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def bergenser(enrol: Enrol, bergen: Chapter) -> Mentor:
    """A mentor whom Kari does not look after."""
    return enrol(chapter=bergen, ref="B1", name="Bergljot Bergenser")


def page(row: Any, button: str = "change") -> str:
    return reverse(f"admin:certifications_{row._meta.model_name}_{button}", args=[row.pk])


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


class TestOne:
    def test_a_renewal_says_that_the_mentor_is_active_again(
        self, desk: Any, kari: User, enrol: Enrol, certify: Certify, course: CertificationType, today: date
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
        self, desk: Any, kari: User, mentor: Mentor, certify: Certify
    ) -> None:
        one = certify(mentor)

        asked = desk(kari).get(page(one, "revoke"))
        done = desk(kari).post(page(one, "revoke"), {"reason": "Forged"}, follow=True)

        mentor.refresh_from_db()
        assert "the mentor is paused at once" in text(asked)
        assert (mentor.status, mentor.pause_cause) == ("paused", "certification_revoked")
        assert "Revoked, and Liv Moe is paused." in text(done)

    def test_what_is_revoked_is_read_only(
        self, desk: Any, olav: User, mentor: Mentor, certify: Certify, today: date
    ) -> None:
        one = certify(mentor, revoked_at=NOW, revoked_reason="Forged")

        changed = desk(olav).post(page(one), {"number": "X", "issued_on": today, "expires_on": ""})
        again = desk(olav).post(page(one, "revoke"), {"reason": "x"})

        one.refresh_from_db()
        assert (changed.status_code, again.status_code) == (403, 422)
        assert one.number != "X"

    def test_one_is_recorded_for_as_long_as_its_type_says(
        self, desk: Any, kari: User, mentor: Mentor, course: CertificationType, today: date
    ) -> None:
        CertificationType.objects.update(validity_months=12)
        written = {"mentor": mentor.pk, "type": course.pk, "number": "A1", "issued_on": today, "expires_on": ""}

        added = desk(kari).post(LIST + "add/", written)
        again = desk(kari).post(LIST + "add/", written)

        assert (added.status_code, again.status_code) == (302, 200)
        assert Certification.objects.get().expires_on == date(2027, 11, 20)

    def test_only_the_organisation_removes_one(
        self, desk: Any, kari: User, olav: User, mentor: Mentor, certify: Certify
    ) -> None:
        one = certify(mentor)

        refused = desk(kari).post(page(one, "delete"), {"post": "yes"})
        kept = Certification.objects.exists()
        desk(olav).post(page(one, "delete"), {"post": "yes"})

        assert (refused.status_code, kept) == (403, True)
        assert not Certification.objects.exists()

    def test_an_exemption_is_granted_by_the_organisation_alone(
        self, desk: Any, kari: User, olav: User, enrol: Enrol, certify: Certify, course: CertificationType, today: date
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
        self, desk: Any, kari: User, mentor: Mentor, certify: Certify, query: dict[str, str], found: set[str]
    ) -> None:
        certify(mentor, number="soon", expires_in=10)
        certify(mentor, number="gone", expires_in=-10)
        certify(mentor, number="open", expires_in=None)
        certify(mentor, number="revoked", revoked_at=NOW)

        rows = desk(kari).get(LIST, query).context["cl"].result_list

        assert {row.number for row in rows} == found

    def test_the_number_of_queries_does_not_grow_with_it(
        self, desk: Any, olav: User, enrol: Enrol, certify: Certify
    ) -> None:
        client = desk(olav)

        def ask(count: int) -> int:
            for _ in range(count):
                certify(enrol(), expires_in=10)
            with CaptureQueriesContext(connection) as asked:
                assert client.get(LIST, {"state": "expiring", "expires": "30"}).status_code == 200
            return len(asked)

        few = ask(2)

        assert ask(60) <= few <= 12

    @pytest.mark.parametrize("button", ["change", "renew", "revoke", "delete", "history"])
    def test_those_of_another_chapter_are_not_there(
        self, desk: Any, kari: User, bergenser: Mentor, certify: Certify, button: str, today: date
    ) -> None:
        one = certify(bergenser, number="secret")
        written = {"reason": "x", "issued_on": today, "post": "yes"}

        answers = [desk(kari).get(page(one, button)), desk(kari).post(page(one, button), written)]

        assert all(answer.status_code in {302, 403, 404} for answer in answers)
        assert all("secret" not in text(answer) for answer in answers)
        assert Certification.objects.get().revoked_at is None

    def test_a_mentor_of_another_chapter_gets_none_from_her(
        self, desk: Any, kari: User, bergenser: Mentor, course: CertificationType, today: date
    ) -> None:
        desk(kari).post(LIST + "add/", {"mentor": bergenser.pk, "type": course.pk, "issued_on": today})

        assert not Certification.objects.exists()

    @pytest.mark.parametrize("query", ["q=secret", "mentor__chapter__id__exact={bergen}"])
    def test_no_search_and_no_filter_finds_them(
        self, desk: Any, kari: User, bergenser: Mentor, certify: Certify, query: str
    ) -> None:
        certify(bergenser, number="secret-1")

        answer = desk(kari).get(f"{LIST}?{query.format(bergen=bergenser.chapter_id)}", follow=True)

        assert "secret-1" not in text(answer)


class TestCourse:
    def course_of(self, course: CertificationType, today: date, **more: Any) -> dict[str, Any]:
        return {"type": course.pk, "issued_on": today, "expires_on": today + timedelta(days=365), **more}

    def test_attendees_are_ticked_previewed_and_recorded(
        self,
        desk: Any,
        kari: User,
        enrol: Enrol,
        certify: Certify,
        oslo: Chapter,
        course: CertificationType,
        today: date,
    ) -> None:
        mentor, has = enrol(name="Liv Moe", **EXPIRED), enrol(name="Ola Nes")
        enrol(name="Not There")
        certify(mentor, expires_in=-5)
        certify(has, number="K", issued_on=today)
        ids = [mentor.pk, has.pk]
        client, filled = desk(kari), self.course_of(course, today, number="K", chapter=oslo.pk)

        preview = client.post(COURSE, {**filled, "attendee": ids, "preview": "1"})
        unwritten = Certification.objects.count()
        done = client.post(COURSE, {**filled, "attendees": ",".join(map(str, ids)), "apply": "1"})

        assert "is resumed at once" in text(preview)
        assert "has it already: unchanged" in text(preview)
        assert unwritten == 2
        assert "Recorded for 1 mentor." in text(done)
        assert set(Certification.objects.filter(number="K").values_list("mentor", flat=True)) == set(ids)
        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.ACTIVE

    def test_what_was_ticked_is_still_ticked_when_it_is_changed_once_more(
        self, desk: Any, kari: User, enrol: Enrol, oslo: Chapter, course: CertificationType, today: date
    ) -> None:
        mentor, other = enrol(), enrol()
        filled = self.course_of(course, today, chapter=oslo.pk, attendees=str(mentor.pk), edit="1")

        people = desk(kari).post(COURSE, filled).context["people"]

        assert [(one, ticked) for one, _status, ticked in people] == [(mentor, True), (other, False)]

    def test_nobody_ticked_is_said_in_the_form(
        self, desk: Any, kari: User, mentor: Mentor, oslo: Chapter, course: CertificationType, today: date
    ) -> None:
        answer = desk(kari).post(COURSE, self.course_of(course, today, chapter=oslo.pk, preview="1"))

        assert answer.status_code == 422
        assert "Choose at least one." in text(answer)

    def test_mentors_chosen_in_the_list_go_along(
        self, desk: Any, kari: User, enrol: Enrol, course: CertificationType
    ) -> None:
        ids = [enrol().pk, enrol().pk]

        answer = desk(kari).post("/admin/mentors/mentor/", {"action": "record_course", "_selected_action": ids})

        assert "2 are chosen." in text(answer)
        assert f'value="{ids[0]},{ids[1]}"' in text(answer)

    @pytest.mark.parametrize("step", ["preview", "apply"])
    def test_a_mentor_of_another_chapter_cannot_be_slipped_in(
        self,
        desk: Any,
        kari: User,
        mentor: Mentor,
        bergenser: Mentor,
        course: CertificationType,
        today: date,
        step: str,
    ) -> None:
        chosen = {"attendees": f"{mentor.pk},{bergenser.pk}", step: "1"}

        answer = desk(kari).post(COURSE, self.course_of(course, today, **chosen))

        assert answer.status_code == 403
        assert not Certification.objects.exists()

    def test_the_list_does_not_choose_them_either(
        self, desk: Any, kari: User, mentor: Mentor, bergenser: Mentor, course: CertificationType
    ) -> None:
        ids = [mentor.pk, bergenser.pk]

        answer = desk(kari).post("/admin/mentors/mentor/", {"action": "record_course", "_selected_action": ids})

        assert f'value="{mentor.pk}"' in text(answer)
        assert "1 is chosen." in text(answer)

    def test_another_chapters_mentors_are_not_listed(
        self, desk: Any, kari: User, mentor: Mentor, bergenser: Mentor, bergen: Chapter
    ) -> None:
        said = text(desk(kari).get(COURSE, {"chapter": bergen.pk}))

        assert bergenser.name not in said

    def test_an_auditor_records_nothing(self, desk: Any, auditor: User) -> None:
        assert desk(auditor).get(COURSE).status_code == 403

    def test_the_preview_asks_the_database_as_often_for_many_as_for_few(
        self,
        desk: Any,
        kari: User,
        enrol: Enrol,
        certify: Certify,
        oslo: Chapter,
        course: CertificationType,
        today: date,
    ) -> None:
        client = desk(kari)

        def ask(count: int) -> int:
            mentors = [enrol(**EXPIRED) for _ in range(count)]
            for mentor in mentors:
                certify(mentor, expires_in=-5)
            ids = ",".join(str(mentor.pk) for mentor in mentors)
            with CaptureQueriesContext(connection) as asked:
                answer = client.post(COURSE, self.course_of(course, today, attendees=ids, preview="1"))
            assert text(answer).count("is resumed at once") == count
            return len(asked)

        few = ask(2)

        assert ask(40) <= few <= 12


class TestExtension:
    def chosen(self, *certifications: Certification, **more: Any) -> dict[str, Any]:
        ids = ",".join(str(one.pk) for one in certifications)
        return {"certifications": ids, "reason": "Kurset ble avlyst.", "until_on": "", "months": "", "days": "", **more}

    def test_the_chosen_are_previewed_extended_and_given_back(
        self, desk: Any, kari: User, enrol: Enrol, certify: Certify, today: date
    ) -> None:
        mentor = enrol(name="Liv Moe", **EXPIRED)
        one, other = certify(mentor, expires_in=-5), certify(enrol(), expires_in=None)
        client = desk(kari)

        begun = client.post(LIST, {"action": "extend", "_selected_action": [one.pk, other.pk]})
        preview = client.post(EXTEND, self.chosen(one, other, days="30", preview="1"))
        unwritten = Extension.objects.exists()
        done = client.post(EXTEND, self.chosen(one, other, days="30", apply="1"), follow=True)
        extension = Extension.objects.get()
        undone = client.post(page(extension, "undo"), {"reason": "Held after all"}, follow=True)

        one.refresh_from_db()
        assert "2 are chosen." in text(begun)
        assert "is resumed at once" in text(preview)
        assert "open-ended: it never expires" in text(preview)
        assert not unwritten
        assert "1 certification is extended." in text(done)
        assert "1 mentor is resumed." in text(done)
        assert "1 certification expires as before." in text(undone)
        assert one.expires_on == today - timedelta(days=5)

    @pytest.mark.parametrize("more", [{}, {"until_on": "2027-01-01", "days": "3"}])
    def test_it_is_either_a_day_or_so_many_days(
        self, desk: Any, kari: User, mentor: Mentor, certify: Certify, more: dict[str, str]
    ) -> None:
        answer = desk(kari).post(EXTEND, self.chosen(certify(mentor), preview="1", **more))

        assert answer.status_code == 422
        assert "Write either the new expiry" in text(answer)

    @pytest.mark.parametrize("step", ["preview", "apply"])
    def test_one_of_another_chapter_cannot_be_slipped_in(
        self, desk: Any, kari: User, mentor: Mentor, bergenser: Mentor, certify: Certify, step: str
    ) -> None:
        ours, theirs = certify(mentor, expires_in=5), certify(bergenser, number="secret", expires_in=5)

        answer = desk(kari).post(EXTEND, self.chosen(ours, theirs, days="30", **{step: "1"}))

        assert answer.status_code == 403
        assert "secret" not in text(answer)
        assert not Extension.objects.exists()

    def test_a_coordinator_sees_of_an_extension_only_her_own_mentors_rows(
        self, desk: Any, kari: User, olav: User, mentor: Mentor, bergenser: Mentor, certify: Certify
    ) -> None:
        ours, theirs = certify(mentor, expires_in=5), certify(bergenser, number="secret-1", expires_in=5)
        desk(olav).post(EXTEND, self.chosen(ours, theirs, days="30", apply="1"))
        extension = Extension.objects.get()

        said = text(desk(kari).get(page(extension)))
        undone = desk(kari).post(page(extension, "undo"), {"reason": "x"})

        assert "Liv Moe" in said
        assert "Bergljot" not in said
        assert "secret-1" not in said
        assert undone.status_code == 403
        assert "Bergljot" in text(desk(olav).get(page(extension)))

    def test_an_extension_that_touches_none_of_her_mentors_is_not_there(
        self, desk: Any, kari: User, olav: User, bergenser: Mentor, certify: Certify
    ) -> None:
        desk(olav).post(EXTEND, self.chosen(certify(bergenser, expires_in=5), days="30", apply="1"))
        extension = Extension.objects.get()
        client = desk(kari)

        listed = client.get(reverse("admin:certifications_extension_changelist"))
        answers = [client.get(page(extension)), client.post(page(extension, "undo"), {"reason": "x"})]

        assert extension.reason not in text(listed)
        assert {answer.status_code for answer in answers} <= {302, 404}
        extension.refresh_from_db()
        assert extension.undone_at is None

    def test_more_than_a_person_can_look_at_are_refused(
        self, desk: Any, kari: User, enrol: Enrol, certify: Certify, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(previewing, "MOST", 2)
        many = [certify(enrol(), expires_in=5) for _ in range(3)]
        every = {"action": "extend", "_selected_action": [many[0].pk], "select_across": "1"}

        begun = desk(kari).post(LIST, every, follow=True)
        posted = desk(kari).post(EXTEND, self.chosen(*many, days="30", apply="1"))

        assert "More than 2 are chosen" in text(begun)
        assert "More than 2 are chosen" in text(posted)
        assert not Extension.objects.exists()

    @pytest.mark.parametrize("ids", ["1;2", "abc", "1,-2", "9" * 30])
    def test_ids_that_are_none_are_refused(self, desk: Any, kari: User, ids: str) -> None:
        answer = desk(kari).post(EXTEND, {"certifications": ids, "reason": "x", "days": "3", "apply": "1"})

        assert answer.status_code == 422

    def test_preview_and_page_ask_the_database_as_often_for_many_as_for_few(
        self, desk: Any, olav: User, enrol: Enrol, certify: Certify
    ) -> None:
        client = desk(olav)

        def ask(count: int) -> tuple[int, int]:
            many = [certify(enrol(**EXPIRED), expires_in=-5) for _ in range(count)]
            with CaptureQueriesContext(connection) as previewed:
                client.post(EXTEND, self.chosen(*many, days="30", preview="1"))
            client.post(EXTEND, self.chosen(*many, days="30", apply="1"))
            with CaptureQueriesContext(connection) as shown:
                assert client.get(page(Extension.objects.latest("pk"))).status_code == 200
            return len(previewed), len(shown)

        few, many = ask(2), ask(40)

        assert max(few) <= 12
        assert [a <= b for a, b in zip(many, few, strict=True)] == [True, True]
