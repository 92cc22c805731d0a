"""The list of the mentors at the desk: what it says, what it finds, and what of it is nobody's."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certifications.models import CertificationType, Exemption
from mentors.desk import long_lists
from mentors.models import Chapter, CoordinatorRole, Mentor, User
from tests.conftest import Certify, Desk, Enrol
from tests.support.desk import EXPIRED, page, text

pytestmark = pytest.mark.django_db
LIST = "/admin/mentors/mentor/"


class TestList:
    def test_it_says_the_status_and_what_has_lapsed_or_is_missing(
        self, desk: Desk, kari: User, enrol: Enrol, certify: Certify, secrecy: CertificationType
    ) -> None:
        certify(enrol(name="Liv Moe", **EXPIRED), expires_in=-5)

        said = text(desk(kari).get(LIST))

        for words in ("Liv Moe", "paused", "lapsed: Kurs", "missing: Taushet"):
            assert words in said

    def test_it_finds_by_the_beginnings_of_words(self, desk: Desk, kari: User, enrol: Enrol) -> None:
        enrol(name="Liv Moe")
        enrol(name="Ola Olivsen")

        said = text(desk(kari).get(LIST, {"q": "liv"}))

        assert "Liv Moe" in said
        assert "Ola Olivsen" not in said

    def test_what_very_many_are_called_is_not_counted_to_its_end(
        self, desk: Desk, kari: User, enrol: Enrol, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(long_lists, "MOST_COUNTED", 2)
        for name in ("Liv Moe", "Liv Nes", "Liv Vik", "Ola Nes"):
            enrol(name=name)

        assert "2+ results" in text(desk(kari).get(LIST, {"q": "liv"}))
        assert "2 results" in text(desk(kari).get(LIST, {"q": "nes"}))
        everybody = text(desk(kari).get(LIST))
        assert "4 mentors" in everybody
        assert "Show all" not in everybody

    def test_a_search_that_no_database_takes_finds_nothing_wrong(self, desk: Desk, kari: User, mentor: Mentor) -> None:
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
        self, desk: Desk, kari: User, enrol: Enrol, certify: Certify, chosen: str, found: set[str] | None
    ) -> None:
        for name, days in (("Soon", 10), ("Later", 50), ("Gone", -10), ("Far", 300)):
            certify(enrol(name=name), expires_in=days)

        rows = desk(kari).get(LIST, {"lapses": chosen}).context["cl"].result_list

        assert {row.name for row in rows} == (found or {"Soon", "Later", "Gone", "Far"})

    def test_the_organisation_is_a_filter_only_for_whom_there_are_several(
        self, desk: Desk, olav: User, mentor: Mentor, foreigner: Mentor
    ) -> None:
        root = User.objects.create_superuser("root")

        assert "By organisation" not in text(desk(olav).get(LIST)).replace("By Organisation", "By organisation")
        assert foreigner.organisation.name in text(desk(root).get(LIST))

    def test_the_number_of_queries_does_not_grow_with_the_list(
        self, desk: Desk, olav: User, enrol: Enrol, certify: Certify, oslo: Chapter, bergen: Chapter
    ) -> None:
        client = desk(olav)

        def ask(count: int) -> int:
            for number in range(count):
                certify(enrol(chapter=[oslo, bergen][number % 2]), expires_in=-5)
            with CaptureQueriesContext(connection) as asked:
                assert client.get(LIST, {"status__exact": "active", "lapses": "lapsed"}).status_code == 200
            return len(asked)

        ask(1)  # which fills what a process remembers
        few = ask(9)

        assert ask(30) <= few <= 12


class TestScope:
    @pytest.mark.parametrize("button", ["change", "pause", "resume", "end", "timeline", "history", "delete"])
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_a_mentor_of_another_chapter_or_organisation_is_not_there(
        self, desk: Desk, kari: User, bergenser: Mentor, foreigner: Mentor, button: str, method: str
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
        self, desk: Desk, kari: User, mentor: Mentor, bergenser: Mentor, foreigner: Mentor, query: str
    ) -> None:
        asked = query.format(bergen=bergenser.chapter_id, other=foreigner.organisation_id)

        answer = desk(kari).get(f"{LIST}?{asked}", follow=True)

        assert answer.status_code == 200
        assert bergenser.name not in text(answer)
        assert foreigner.name not in text(answer)

    def test_neither_does_autocomplete(self, desk: Desk, kari: User, mentor: Mentor, bergenser: Mentor) -> None:
        field = {"app_label": "certifications", "model_name": "certification", "field_name": "mentor"}

        found = desk(kari).get("/admin/autocomplete/", {**field, "term": ""}).json()["results"]

        assert [row["text"] for row in found] == [str(mentor)]

    def test_a_chapter_that_she_does_not_look_after_is_no_choice(
        self, desk: Desk, kari: User, mentor: Mentor, bergen: Chapter
    ) -> None:
        written = {"chapter": bergen.pk, "ref": "new", "name": "New", "language": "nb"}

        added = desk(kari).post(reverse("admin:mentors_mentor_add"), written)
        moved = desk(kari).post(page(mentor), written)

        assert (added.status_code, moved.status_code) == (200, 200)
        assert set(Mentor.objects.values_list("ref", "chapter__name")) == {("M0", "Oslo")}

    def test_an_auditor_sees_no_mentor(self, desk: Desk, auditor: User, mentor: Mentor) -> None:
        answers = [desk(auditor).get(LIST), desk(auditor).get(page(mentor)), desk(auditor).get(page(mentor, "pause"))]

        assert {answer.status_code for answer in answers} <= {302, 403, 404}
        assert all(mentor.name not in text(answer) for answer in answers)

    def test_who_leads_one_organisation_exempts_nobody_of_a_chapter_elsewhere(
        self, desk: Desk, olav: User, foreigner: Mentor, today: date
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
