"""The public page of a chapter: its languages, who may frame it, what engines may have, and rule 11 at every look."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import Resolver404, resolve
from time_machine import Traveller

from certifications.models import Certification
from certifications.recording import revoke_certification
from mentors.models import Chapter, Mentor, Organisation, User
from tests.conftest import NOW, TODAY, Certify, Enrol

pytestmark = pytest.mark.django_db

PAGE = "/hlf/oslo/"
SITE = "https://nattevakt.example"


@pytest.fixture(autouse=True)
def public_url(settings: Any) -> None:
    settings.PUBLIC_URL = SITE


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


def text_of(client: Client, address: str = PAGE, **headers: str) -> str:
    return client.get(address, headers=headers).content.decode()


def names_on(html: str) -> list[str]:
    [names] = re.findall(r'<ul translate="no">(.*?)</ul>', html, re.DOTALL)
    return re.findall("<li>(.*?)</li>", names)


class TestNames:
    def test_they_are_those_of_rule_11(self, client: Client, shown: list[str]) -> None:
        assert names_on(text_of(client)) == shown

    def test_they_are_text_and_nothing_private_is_told(self, client: Client, enrol: Enrol) -> None:
        enrol(name="<script>alert(1)</script>", email="secret@example.org", phone="+4790000012", ref="SECRET")

        html = text_of(client)

        assert "&lt;script&gt;" in html
        assert not any(secret in html for secret in ("<script", "secret@", "+47", "SECRET"))

    def test_a_chapter_without_any_says_so(self, client: Client, oslo: Chapter) -> None:
        html = text_of(client)

        assert 'translate="no"' not in html
        assert "Ingen står på listen for tiden." in html

    def test_a_mentor_is_gone_as_soon_as_the_certification_is_revoked(
        self, client: Client, mentor: Mentor, certify: Certify, kari: User, now: datetime
    ) -> None:
        certification = certify(mentor)
        before = client.get(PAGE)

        revoke_certification(certification, reason="By mistake.", actor=kari, now=now)

        after = client.get(PAGE, headers={"If-None-Match": before["ETag"]})
        assert ("Liv Moe" in before.content.decode(), after.status_code) == (True, 200)
        assert "Liv Moe" not in after.content.decode()

    def test_nor_does_it_need_the_night(self, client: Client, mentor: Mentor, certify: Certify) -> None:
        certify(mentor, expires_in=0)
        Certification.objects.update(expires_on=TODAY - timedelta(days=1))

        assert mentor.status == Mentor.Status.ACTIVE
        assert "Liv Moe" not in text_of(client)

    def test_the_page_says_as_of_which_local_day(
        self, client: Client, shown: list[str], hlf: Organisation, clock: Traveller
    ) -> None:
        clock.move_to(NOW.replace(hour=23, minute=30))

        html = text_of(client)

        assert '<time datetime="2026-11-22">' in html
        assert "22. november 2026</time>" in html

    @pytest.mark.parametrize(("expires_in", "queries"), [(0, 2), (-1, 3)])
    def test_many_cost_as_many_queries_as_one(
        self,
        client: Client,
        enrol: Enrol,
        certify: Certify,
        django_assert_num_queries: Any,
        expires_in: int,
        queries: int,
    ) -> None:
        for number in range(40):
            certify(enrol(), expires_in=expires_in if number % 2 else 1)
        text_of(client)  # which fills what a process remembers

        with django_assert_num_queries(queries):
            html = text_of(client)

        assert len(names_on(html)) == (40 if expires_in == 0 else 20)
        assert '<body class="many">' in html

    def test_an_address_without_a_chapter_is_404(self, client: Client, oslo: Chapter) -> None:
        assert client.get("/hlf/unheard-of/").status_code == 404
        assert client.get("/unheard-of/oslo/").status_code == 404
        assert client.post(PAGE).status_code == 405


class TestLanguages:
    @pytest.mark.parametrize(
        ("own", "query", "language", "heading"),
        [
            ("nb", "", "nb", "Likepersoner i Oslo"),
            ("nn", "", "nn", "Likepersonar i Oslo"),
            ("en", "", "en", "Peer mentors in Oslo"),
            ("nb", "?language=nn", "nn", "Likepersonar i Oslo"),
            ("nb", "?language=en", "en", "Peer mentors in Oslo"),
            ("en", "?language=nb", "nb", "Likepersoner i Oslo"),
            ("nn", "?language=tlh", "nn", "Likepersonar i Oslo"),
            ("nn", "?language=%00", "nn", "Likepersonar i Oslo"),
        ],
    )
    def test_it_is_the_one_asked_for_or_the_organisations_and_never_the_browsers(
        self, client: Client, shown: list[str], own: str, query: str, language: str, heading: str
    ) -> None:
        Organisation.objects.update(language=own)

        answer = client.get(PAGE + query, headers={"Accept-Language": "de, en"})

        html = answer.content.decode()
        assert answer["Content-Language"] == language
        assert f'<html lang="{language}">' in html
        assert f"<h1>{heading}</h1>" in html
        assert f"<title>{heading} – HLF</title>" in html
        assert names_on(html) == shown

    def test_the_other_two_are_linked_in_their_own_words(self, client: Client, oslo: Chapter) -> None:
        html = text_of(client, f"{PAGE}?language=nn")

        assert re.findall("<a (.*?)>(.*?)</a>", html) == [
            ('href="/hlf/oslo/" hreflang="nb" lang="nb"', "Norsk bokmål"),
            ('href="/hlf/oslo/?language=en" hreflang="en" lang="en"', "English"),
        ]

    def test_each_page_names_itself_and_the_others_to_engines(self, client: Client, oslo: Chapter) -> None:
        html = text_of(client, f"{PAGE}?language=nn&from=mail")

        assert re.findall('<link rel="(.*?)">', html) == [
            f'alternate" hreflang="nb" href="{SITE}/hlf/oslo/',
            f'canonical" href="{SITE}/hlf/oslo/?language=nn',
            f'alternate" hreflang="nn" href="{SITE}/hlf/oslo/?language=nn',
            f'alternate" hreflang="en" href="{SITE}/hlf/oslo/?language=en',
            f'alternate" hreflang="x-default" href="{SITE}/hlf/oslo/',
        ]

    def test_without_a_public_address_the_links_are_those_of_the_visit(
        self, client: Client, oslo: Chapter, settings: Any
    ) -> None:
        settings.PUBLIC_URL = ""

        assert '<link rel="canonical" href="http://testserver/hlf/oslo/">' in text_of(client)


class TestCaching:
    def test_it_is_asked_for_again_each_time_and_sent_again_only_when_it_changed(
        self, client: Client, shown: list[str]
    ) -> None:
        first = client.get(PAGE)

        again = client.get(PAGE, headers={"If-None-Match": first["ETag"]})

        assert (first["Cache-Control"], again["Cache-Control"]) == ("public, no-cache", "public, no-cache")
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        assert "Cookie" not in first["Vary"]
        assert not first.cookies

    def test_each_language_is_a_version_of_its_own(self, client: Client, shown: list[str]) -> None:
        versions = {client.get(f"{PAGE}?language={code}")["ETag"] for code in ("nb", "nn", "en")}

        assert len(versions) == 3

    def test_tomorrow_it_is_another(self, client: Client, shown: list[str], clock: Traveller) -> None:
        today = client.get(PAGE)["ETag"]
        clock.shift(timedelta(days=1))

        assert client.get(PAGE, headers={"If-None-Match": today}).status_code == 200


class TestFrames:
    def test_nobody_may_frame_it_unless_the_organisation_says_who(self, client: Client, oslo: Chapter) -> None:
        answer = client.get(PAGE)

        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Frame-Options"] == "DENY"

    def test_the_sites_that_the_organisation_names_may(self, client: Client, oslo: Chapter) -> None:
        Organisation.objects.update(embed_on=["https://hlf.example", "https://www.hlf.example:8443"])

        answer = client.get(PAGE)
        again = client.get(PAGE, headers={"If-None-Match": answer["ETag"]})

        assert again.status_code == 304
        for each in (answer, again):
            policy = each["Content-Security-Policy"]
            assert policy.endswith("frame-ancestors 'self' https://hlf.example https://www.hlf.example:8443")
            assert "X-Frame-Options" not in each

    def test_a_browser_that_has_the_page_learns_that_a_site_may_no_more(self, client: Client, oslo: Chapter) -> None:
        Organisation.objects.update(embed_on=["https://hlf.example"])
        allowed = client.get(PAGE)
        Organisation.objects.update(embed_on=[])

        answer = client.get(PAGE, headers={"If-None-Match": allowed["ETag"]})

        assert answer.status_code == 200
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]

    def test_what_another_organisation_allows_says_nothing(
        self, client: Client, oslo: Chapter, elsewhere: Chapter
    ) -> None:
        Organisation.objects.filter(slug="other").update(embed_on=["https://other.example"])

        assert "other.example" not in client.get(PAGE)["Content-Security-Policy"]


def test_nothing_but_its_own_style_is_loaded(client: Client, shown: list[str]) -> None:
    answer = client.get(PAGE)

    [style] = re.findall("<style>(.*?)</style>", answer.content.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer["Content-Security-Policy"].startswith(
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert answer["Referrer-Policy"] == "same-origin"
    assert " style=" not in answer.content.decode()


class TestSearchEngines:
    def robots_of(self, client: Client) -> tuple[str, list[str]]:
        answer = client.get(PAGE)
        return answer["X-Robots-Tag"], re.findall('name="robots" content="(.*?)"', answer.content.decode())

    def test_they_keep_nothing_unless_somebody_consents(self, client: Client, oslo: Chapter) -> None:
        assert self.robots_of(client) == ("noindex", ["noindex"])

    def test_they_find_the_page_if_everybody_on_it_consents(self, client: Client, shown: list[str]) -> None:
        Mentor.objects.filter(name__in=shown).update(searchable=True)

        assert self.robots_of(client) == ("noarchive", ["noarchive"])

    def test_one_who_does_not_consent_is_enough_to_keep_them_out(self, client: Client, shown: list[str]) -> None:
        Mentor.objects.filter(name="Liv Moe").update(searchable=True)

        assert self.robots_of(client) == ("noindex", ["noindex"])

    def test_the_consent_of_who_is_not_shown_does_not_count(self, client: Client, shown: list[str]) -> None:
        Mentor.objects.exclude(name__in=shown).update(searchable=True)

        assert self.robots_of(client) == ("noindex", ["noindex"])

    def test_they_are_kept_from_everything_but_the_public_pages(self, client: Client, db: None) -> None:
        answer = client.get("/robots.txt")

        agent, *rules = answer.content.decode().splitlines()
        assert (answer["Content-Type"], agent) == ("text/plain; charset=utf-8", "User-agent: *")
        kept = [rule.removeprefix("Disallow: ") for rule in rules]
        assert kept == ["/a/", "/admin/", "/api/", "/c/", "/p/"]
        assert not any(PAGE.startswith(path) for path in kept)
        with pytest.raises(Resolver404):
            resolve("/robots.txt/")
