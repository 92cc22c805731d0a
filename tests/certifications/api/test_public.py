"""What everybody may see of a chapter as data: its mentors' names (rule 11). The page is in ../test_public_page.py."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import get_resolver

from certifications.coverage import Gaps, find_gaps, lapsed_types, public_names, uncovered_types
from certifications.models import Certification, CertificationType, Exemption
from mentors.models import Chapter, Mentor, Organisation, User
from mentors.rest.throttles import PerAddress
from mentors.validators import RESERVED_SLUGS
from tests.conftest import Certify, Enrol
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db

URL = "/api/v1/public/hlf/chapters/oslo/mentors"


@pytest.fixture
def client() -> Client:
    """Anybody."""
    return Client()


@pytest.fixture
def shown(oslo: Chapter, bergen: Chapter, enrol: Enrol, certify: Certify) -> list[str]:
    """Some mentors, of whom these names are shown."""
    enrol(name="Liv Moe", email="secret@example.org")
    certify(enrol(name="Bo Li"), expires_in=0)
    certify(enrol(name="Lapsed"), expires_in=-1)
    enrol(name="Hidden", listed=False)
    enrol(name="Paused", status="paused", pause_cause="manual")
    enrol(name="Elsewhere", chapter=bergen)
    return ["Bo Li", "Liv Moe"]


class TestData:
    def test_names_and_the_chapter_are_all_it_tells(self, client: Client, shown: list[str]) -> None:
        answer = client.get(URL)

        assert answer.json() == {
            "count": 2,
            "next": None,
            "previous": None,
            "results": [{"name": name, "chapter": "Oslo"} for name in shown],
        }
        assert answer["Cache-Control"] == "public, max-age=60"
        assert answer["X-Robots-Tag"] == "noindex"
        assert not answer.cookies
        assert "Cookie" not in answer["Vary"]

    def test_it_is_304_until_a_name_changes(self, client: Client, shown: list[str]) -> None:
        first = client.get(URL)
        unchanged = client.get(URL, headers={"If-None-Match": first["ETag"]})
        Mentor.objects.filter(name="Bo Li").update(name="Bo Lie")

        changed = client.get(URL, headers={"If-None-Match": first["ETag"]})

        assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", first["ETag"])
        assert unchanged["Cache-Control"] == "public, max-age=60"
        assert (changed.status_code, changed["ETag"] != first["ETag"]) == (200, True)

    @pytest.mark.parametrize(("expires_in", "queries"), [(0, 2), (-1, 3)])
    def test_it_costs_two_queries_however_many_there_are_and_one_more_while_anybody_may_have_lapsed(
        self, client: Client, enrol: Enrol, certify: Certify, expires_in: int, queries: int
    ) -> None:
        for _ in range(39):
            certify(enrol(), expires_in=1)
        certify(enrol(), expires_in=expires_in)

        def ask() -> Any:
            return client.get(f"{URL}?page=2&page_size=10")

        assert count_queries(ask) == queries
        assert ask().json()["count"] == 39 + (expires_in == 0)
        assert len(ask().json()["results"]) == 10

    def test_the_pages_do_not_overlap(self, client: Client, shown: list[str]) -> None:
        pages = [client.get(f"{URL}?page_size=1&page={page}").json() for page in (1, 2)]

        assert [row["name"] for page in pages for row in page["results"]] == shown
        assert [page["count"] for page in pages] == [2, 2]

    @pytest.mark.parametrize(
        ("url", "status"),
        [
            ("/api/v1/public/hlf/chapters/unheard-of/mentors", 404),
            ("/api/v1/public/unheard-of/chapters/oslo/mentors", 404),
            ("/api/v1/public/hlf/chapters/%00/mentors", 404),
            (f"{URL}?page=9", 404),
            (f"{URL}?page_size=201", 400),
            (f"{URL}?search=liv", 400),
        ],
    )
    def test_what_does_not_exist_is_404_and_what_is_wrong_400(
        self, client: Client, oslo: Chapter, url: str, status: int
    ) -> None:
        answer = client.get(url)

        assert answer.status_code == status
        assert answer["Cache-Control"] == "no-store"

    def test_an_address_is_throttled(self, client: Client, oslo: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(PerAddress, "get_rate", lambda _self: "1/minute")
        cache.clear()  # it lives in Redis, and remembers who has asked in an earlier run

        answers = [client.get(URL) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 429]
        assert answers[1]["Cache-Control"] == "no-store"


def test_no_organisation_takes_an_address_of_the_service() -> None:
    first_parts = {str(pattern.pattern).split("/")[0] for pattern in get_resolver().url_patterns} - {
        "<slug:organisation>"
    }

    assert first_parts <= RESERVED_SLUGS
    for slug in RESERVED_SLUGS:
        with pytest.raises(ValidationError, match="address of the service"):
            Organisation(slug=slug, name="Any").full_clean()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_search_aid_says_the_page_follows_the_rules(
    oslo: Chapter,
    course: CertificationType,
    secrecy: CertificationType,
    sign_language: CertificationType,
    enrol: Enrol,
    certify: Certify,
    olav: User,
    today: date,
    now: datetime,
    seed: int,
) -> None:
    draw = random.Random(seed)
    types = [course, secrecy, sign_language]
    for _ in range(25):
        mentor = enrol(listed=draw.random() < 0.9)
        for _ in range(draw.randrange(5)):
            issued = draw.randint(-12, 6)
            expires_in = draw.choice([None, *(issued + days for days in range(10))])
            revoked_at = now if draw.random() < 0.2 else None
            certify(mentor, type=draw.choice(types), issued=issued, expires_in=expires_in, revoked_at=revoked_at)
        if draw.random() < 0.3:
            begins = today + timedelta(days=draw.randint(-6, 3))
            Exemption.objects.create(
                mentor=mentor,
                type=draw.choice(types),
                from_on=begins,
                until_on=begins + timedelta(days=draw.randrange(6)),
                reason="Cancelled.",
                approved_by=olav,
            )

    for day in range(-5, 6):
        on = today + timedelta(days=day)
        mentors = list(Mentor.objects.order_by("pk"))
        lapsed = Certification.objects.lapsed(on=on).order_by("type__code").distinct()
        codes: dict[int, list[str]] = {mentor.pk: [] for mentor in mentors}
        for pk, code in lapsed.values_list("mentor", "type__code"):
            codes[pk].append(code)

        names = public_names(chapter=oslo, on=on)
        gaps = find_gaps({mentor.pk: on for mentor in mentors})

        assert set(names) == {mentor.name for mentor in mentors if mentor.listed and not codes[mentor.pk]}
        assert names == list(Mentor.objects.filter(name__in=names).order_by("name").values_list("name", flat=True))
        assert {pk: gap.lapsed for pk, gap in gaps.items()} == codes


def test_the_gaps_of_many_are_those_of_each(
    course: CertificationType, secrecy: CertificationType, enrol: Enrol, certify: Certify, today: date
) -> None:
    never, lapsed, covered = enrol(), enrol(), enrol()
    certify(lapsed, expires_in=-1)
    certify(covered)
    certify(covered, type=secrecy, expires_in=0)
    tomorrow = today + timedelta(days=1)

    gaps = find_gaps({never.pk: today, lapsed.pk: today, covered.pk: tomorrow})

    for mentor, on in ((never, today), (lapsed, today), (covered, tomorrow)):
        assert gaps[mentor.pk].lapsed == [type.code for type in lapsed_types(mentor=mentor, on=on)]
        uncovered = [type.code for type in uncovered_types(mentor=mentor, on=on)]
        assert sorted(gaps[mentor.pk].lapsed + gaps[mentor.pk].missing) == uncovered
    assert gaps[covered.pk] == Gaps(lapsed=["taushetserklaering"])
    assert find_gaps({}) == {}
