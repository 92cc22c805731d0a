"""A mentor at the desk: the list, the page with its buttons, and why things came as they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certifications.models import CertificationType, Exemption
from certifications.recording import renew_certification
from certifications.standing import pause_mentor
from cronjobs.models import Action, Run, RunItem
from mentors.desk import lists
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, StatusChange, User
from notifications.models import Answer, Notification
from tests.conftest import NOW, Certify, Enrol

pytestmark = pytest.mark.django_db
EXPIRED = {"status": "paused", "pause_cause": "certification_expired"}
LIST = "/admin/mentors/mentor/"


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
    return enrol(chapter=bergen, ref="B1", name="Bergljot Bergenser", email="b@example.org")


@pytest.fixture
def foreigner(elsewhere: Chapter) -> Mentor:
    return Mentor.objects.create(organisation=elsewhere.organisation, chapter=elsewhere, ref="F1", name="Fremmed Frans")


def page(mentor: Mentor, button: str = "") -> str:
    return reverse(f"admin:mentors_mentor_{button or 'change'}", args=[mentor.pk])


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


class TestList:
    def test_it_says_the_status_and_what_has_lapsed_or_is_missing(
        self, desk: Any, kari: User, enrol: Enrol, certify: Certify, secrecy: CertificationType
    ) -> None:
        certify(enrol(name="Liv Moe", **EXPIRED), expires_in=-5)

        said = text(desk(kari).get(LIST))

        for words in ("Liv Moe", "paused", "lapsed: Kurs", "missing: Taushet"):
            assert words in said

    def test_it_finds_by_the_beginnings_of_words(self, desk: Any, kari: User, enrol: Enrol) -> None:
        enrol(name="Liv Moe")
        enrol(name="Ola Olivsen")

        said = text(desk(kari).get(LIST, {"q": "liv"}))

        assert "Liv Moe" in said
        assert "Ola Olivsen" not in said

    def test_what_very_many_are_called_is_not_counted_to_its_end(
        self, desk: Any, kari: User, enrol: Enrol, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lists, "MOST_COUNTED", 2)
        for name in ("Liv Moe", "Liv Nes", "Liv Vik", "Ola Nes"):
            enrol(name=name)

        assert "2+ results" in text(desk(kari).get(LIST, {"q": "liv"}))
        assert "2 results" in text(desk(kari).get(LIST, {"q": "nes"}))
        everybody = text(desk(kari).get(LIST))
        assert "4 mentors" in everybody
        assert "Show all" not in everybody

    def test_a_search_that_no_database_takes_finds_nothing_amiss(self, desk: Any, kari: User, mentor: Mentor) -> None:
        field = {"app_label": "certifications", "model_name": "certification", "field_name": "mentor"}

        answers = [
            desk(kari).get(LIST, {"q": "\0"}),
            desk(kari).get("/admin/autocomplete/", {**field, "term": "\0" + "x" * 500}),
        ]

        assert [answer.status_code for answer in answers] == [200, 200]

    @pytest.mark.parametrize(
        ("chosen", "found"), [("30", {"Soon"}), ("60", {"Soon", "Later"}), ("lapsed", {"Gone"}), ("x", None)]
    )
    def test_it_is_narrowed_by_when_something_lapses(
        self, desk: Any, kari: User, enrol: Enrol, certify: Certify, chosen: str, found: set[str] | None
    ) -> None:
        for name, days in (("Soon", 10), ("Later", 50), ("Gone", -10), ("Far", 300)):
            certify(enrol(name=name), expires_in=days)

        rows = desk(kari).get(LIST, {"lapses": chosen}).context["cl"].result_list

        assert {row.name for row in rows} == (found or {"Soon", "Later", "Gone", "Far"})

    def test_the_organisation_is_a_filter_only_for_whom_there_are_several(
        self, desk: Any, olav: User, mentor: Mentor, foreigner: Mentor
    ) -> None:
        root = User.objects.create_superuser("root")

        assert "By organisation" not in text(desk(olav).get(LIST)).replace("By Organisation", "By organisation")
        assert foreigner.organisation.name in text(desk(root).get(LIST))

    def test_the_number_of_queries_does_not_grow_with_the_list(
        self, desk: Any, olav: User, enrol: Enrol, certify: Certify, oslo: Chapter, bergen: Chapter
    ) -> None:
        client = desk(olav)

        def ask(count: int) -> int:
            for number in range(count):
                certify(enrol(chapter=[oslo, bergen][number % 2]), expires_in=-5)
            with CaptureQueriesContext(connection) as asked:
                assert client.get(LIST, {"status__exact": "active", "lapses": "lapsed"}).status_code == 200
            return len(asked)

        few = ask(2)

        assert ask(60) <= few <= 12


class TestScope:
    @pytest.mark.parametrize("button", ["change", "pause", "resume", "end", "timeline", "history", "delete"])
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_a_mentor_of_another_chapter_or_organisation_is_not_there(
        self, desk: Any, kari: User, bergenser: Mentor, foreigner: Mentor, button: str, method: str
    ) -> None:
        for mentor in (bergenser, foreigner):
            answer = getattr(desk(kari), method)(page(mentor, button), {"reason": "x"} if method == "post" else {})

            assert answer.status_code in {302, 403, 404}
            assert mentor.name not in text(answer)
            mentor.refresh_from_db()
            assert mentor.status == Mentor.Status.ACTIVE

    @pytest.mark.parametrize(
        "query", ["q=Berg", "q=B1", "chapter__id__exact={bergen}", "organisation__id__exact={other}"]
    )
    def test_no_search_and_no_filter_finds_them(
        self, desk: Any, kari: User, mentor: Mentor, bergenser: Mentor, foreigner: Mentor, query: str
    ) -> None:
        asked = query.format(bergen=bergenser.chapter_id, other=foreigner.organisation_id)

        answer = desk(kari).get(f"{LIST}?{asked}", follow=True)

        assert answer.status_code == 200
        assert bergenser.name not in text(answer)
        assert foreigner.name not in text(answer)

    def test_neither_does_autocomplete(self, desk: Any, kari: User, mentor: Mentor, bergenser: Mentor) -> None:
        field = {"app_label": "certifications", "model_name": "certification", "field_name": "mentor"}

        found = desk(kari).get("/admin/autocomplete/", {**field, "term": ""}).json()["results"]

        assert [row["text"] for row in found] == [str(mentor)]

    def test_a_chapter_that_she_does_not_look_after_is_no_choice(
        self, desk: Any, kari: User, mentor: Mentor, bergen: Chapter
    ) -> None:
        written = {"chapter": bergen.pk, "ref": "new", "name": "New", "language": "nb"}

        added = desk(kari).post(reverse("admin:mentors_mentor_add"), written)
        moved = desk(kari).post(page(mentor), written)

        assert (added.status_code, moved.status_code) == (200, 200)
        assert set(Mentor.objects.values_list("ref", "chapter__name")) == {("M0", "Oslo")}

    def test_an_auditor_sees_no_mentor(self, desk: Any, auditor: User, mentor: Mentor) -> None:
        answers = [desk(auditor).get(LIST), desk(auditor).get(page(mentor)), desk(auditor).get(page(mentor, "pause"))]

        assert {answer.status_code for answer in answers} <= {302, 403, 404}
        assert all(mentor.name not in text(answer) for answer in answers)

    def test_who_leads_one_organisation_exempts_nobody_of_a_chapter_elsewhere(
        self, desk: Any, olav: User, foreigner: Mentor, today: date
    ) -> None:
        CoordinatorRole.objects.create(user=olav, organisation=foreigner.organisation, chapter=foreigner.chapter)
        type = CertificationType.objects.create(organisation=foreigner.organisation, code="kurs", required=True)
        foreigner.certifications.create(
            type=type, issued_on=today - timedelta(days=9), expires_on=today - timedelta(days=3)
        )
        Mentor.objects.filter(pk=foreigner.pk).update(**EXPIRED)

        answer = desk(olav).post(page(foreigner, "resume"), {"reason": "x", "exempt_until": "2026-12-31"})

        assert answer.status_code == 422
        assert not Exemption.objects.exists()


class TestWriting:
    WRITTEN = {"ref": "M-9", "name": "Åse Ås", "email": "ASE@example.org", "phone": "", "language": "", "listed": "on"}

    def test_enrolling_asks_for_a_chapter_and_the_rest_follows(self, desk: Any, kari: User, oslo: Chapter) -> None:
        Organisation.objects.update(language="nn")

        answer = desk(kari).post(reverse("admin:mentors_mentor_add"), {"chapter": oslo.pk, **self.WRITTEN})

        mentor = Mentor.objects.get()
        assert answer.status_code == 302
        assert (mentor.organisation, mentor.language, mentor.email) == (oslo.organisation, "nn", "ase@example.org")

    def test_a_ref_that_is_taken_is_said_beside_it_and_names_nobody(
        self, desk: Any, kari: User, oslo: Chapter, bergenser: Mentor
    ) -> None:
        answer = desk(kari).post(
            reverse("admin:mentors_mentor_add"), {"chapter": oslo.pk, **self.WRITTEN, "ref": bergenser.ref}
        )

        assert "has a mentor of this ref already" in text(answer)
        assert bergenser.name not in text(answer)

    def test_changing_goes_the_way_of_the_domain(self, desk: Any, kari: User, mentor: Mentor) -> None:
        fields = {
            **self.WRITTEN, "chapter": mentor.chapter_id, "language": "en", "searchable": "on",
            "preference-TOTAL_FORMS": 1, "preference-INITIAL_FORMS": 0,
            "preference-0-channel": "email", "preference-0-address": "other@example.org",
        }  # fmt: skip

        desk(kari).post(page(mentor), fields)

        mentor.refresh_from_db()
        assert (mentor.name, mentor.email, mentor.searchable) == ("Åse Ås", "ase@example.org", True)
        assert mentor.preference.address == "other@example.org"


class TestButtons:
    @pytest.mark.parametrize(
        ("state", "shown"),
        [({}, {"Pause", "End service"}), (EXPIRED, {"Resume", "End service"}), ({"status": "ended"}, set())],
    )
    def test_only_what_the_status_allows_is_offered(
        self, desk: Any, kari: User, enrol: Enrol, state: dict[str, str], shown: set[str]
    ) -> None:
        buttons = desk(kari).get(page(enrol(**state))).context["buttons"]

        assert {button.title for button in buttons} == shown

    def test_a_pause_needs_a_reason_and_is_made_by_who_pressed(self, desk: Any, kari: User, mentor: Mentor) -> None:
        refused = desk(kari).post(page(mentor, "pause"), {"reason": ""})
        done = desk(kari).post(page(mentor, "pause"), {"reason": "On leave"}, follow=True)

        change = StatusChange.objects.get()
        assert refused.status_code == 422
        assert (change.to_status, change.reason, change.actor) == ("paused", "On leave", kari)
        assert "Liv Moe is paused." in text(done)

    def test_resuming_a_mentor_with_a_lapsed_type_tells_a_coordinator_to_renew(
        self, desk: Any, kari: User, enrol: Enrol, certify: Certify
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-5)

        asked = desk(kari).get(page(mentor, "resume"))
        refused = desk(kari).post(page(mentor, "resume"), {"reason": "x", "exempt_until": "2026-12-31"})

        assert "Only an organisation-wide coordinator may exempt" in text(asked)
        assert "exempt_until" not in asked.context["form"].fields
        assert refused.status_code == 422
        assert not Exemption.objects.exists()

    def test_the_organisation_resumes_with_an_exemption(
        self, desk: Any, olav: User, enrol: Enrol, certify: Certify, today: date
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-5)

        desk(olav).post(page(mentor, "resume"), {"reason": "The course is in May", "exempt_until": "2026-12-31"})

        mentor.refresh_from_db()
        exemption = Exemption.objects.get()
        assert mentor.status == Mentor.Status.ACTIVE
        assert (exemption.from_on, exemption.until_on, exemption.approved_by) == (today, date(2026, 12, 31), olav)

    def test_an_exemption_that_would_end_in_the_past_is_refused_in_the_form(
        self, desk: Any, olav: User, enrol: Enrol, certify: Certify
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-5)

        answer = desk(olav).post(page(mentor, "resume"), {"reason": "x", "exempt_until": "2020-01-01"})

        assert "This day has passed." in text(answer)

    def test_ending_the_service_is_for_good(self, desk: Any, kari: User, mentor: Mentor) -> None:
        desk(kari).post(page(mentor, "end"), {"reason": "Moved"})
        again = desk(kari).post(page(mentor, "end"), {"reason": "Moved"})

        assert StatusChange.objects.get().to_status == "ended"
        assert "The mentor has ended already." in text(again)


class TestPage:
    def test_it_says_how_things_stand_and_why(
        self, desk: Any, kari: User, mentor: Mentor, certify: Certify, secrecy: CertificationType, now: datetime
    ) -> None:
        certify(mentor, expires_in=12)
        certify(mentor, number="R1", revoked_at=now, revoked_reason="Forged")
        pause_mentor(mentor, reason="On leave until May", actor=kari, now=now)

        said = text(desk(kari).get(page(mentor)))

        for words in (
            "since 21 Nov 2026: paused by a person", "On leave until May", "Never held:</strong> Taushet",
            "expires soon", "12 days left", "Forged", "Paused by kari.",
        ):  # fmt: skip
            assert words in said, words

    def test_its_timeline_tells_of_reminders_with_the_rule_messages_and_answers(
        self, desk: Any, kari: User, hlf: Organisation, mentor: Mentor, certify: Certify, now: datetime, today: date
    ) -> None:
        certification = certify(mentor, expires_in=7, number="A1")
        run = Run.objects.create(
            organisation=hlf, business_date=today, trigger="manual", actions=["remind"], status="succeeded",
            created_at=now, started_at=now, finished_at=now, code_version="test",
        )  # fmt: skip
        item = {
            "run": run, "action": Action.REMIND, "mentor": mentor, "at": now, "certification": certification,
            "type": "likepersonkurs", "number": "A1", "expires_on": certification.expires_on, "stage": 7,
        }  # fmt: skip
        RunItem.objects.create(dedupe_key="1", status="done", outcome="reminded", **item)
        RunItem.objects.create(
            dedupe_key="2", status="skipped", outcome="renewed, changed or revoked in between", **item
        )
        told = Notification.objects.create(
            dedupe_key="1", organisation=hlf, kind="night", channel="email", status="failed", error="550 unknown",
            recipient_mentor=mentor, about=mentor, language="nb", created_at=now,
        )  # fmt: skip
        Answer.objects.create(notification=told, mentor=mentor, choice="help", at=now)

        said = text(desk(kari).get(page(mentor)))

        for words in (
            "Reminded of Kurs A1, which expires on 28 Nov 2026.",
            "Rule 6: reminded 30, 14 and 7 days before the expiry, once each.",
            "Not reminded of Kurs A1",
            "Renewed, changed or revoked in between.",
            "Rule 8:",
            "Message to the mentor",
            "Not delivered.",
            "550 unknown",
            "The mentor answered: “I need help”.",
            reverse("admin:cronjobs_run_change", args=[run.pk]),
        ):
            assert words in said, words

    def test_a_long_timeline_goes_on_on_pages_of_its_own(
        self, desk: Any, kari: User, mentor: Mentor, now: datetime
    ) -> None:
        StatusChange.objects.bulk_create(
            StatusChange(
                mentor=mentor, from_status="active", to_status="paused", cause="manual", reason=f"No {number}.",
                actor=kari, at=now + timedelta(minutes=number),
            )
            for number in range(60)
        )  # fmt: skip

        first = text(desk(kari).get(page(mentor)))
        second = text(desk(kari).get(page(mentor, "timeline"), {"page": 2}))

        assert "No 59." in first
        assert "No 9." not in first
        assert page(mentor, "timeline") in first
        assert "No 9." in second
        assert "Page 2 of 2" in second

    def test_it_takes_at_most_twelve_queries_however_much_there_is(
        self, desk: Any, kari: User, mentor: Mentor, certify: Certify, secrecy: CertificationType, now: datetime
    ) -> None:
        client = desk(kari)
        exemption = {"type": secrecy, "from_on": NOW.date(), "until_on": NOW.date(), "reason": "x", "approved_by": kari}

        def ask(count: int) -> int:
            for number in range(count):
                one = certify(mentor, expires_in=number)
                renew_certification(one, issued_on=NOW.date() - timedelta(days=number + 1), now=now, actor=kari)
                mentor.exemptions.create(**exemption)
            with CaptureQueriesContext(connection) as asked:
                assert client.get(page(mentor)).status_code == 200
            return len(asked)

        few = ask(1)

        assert ask(20) <= few <= 12
