"""What holds for every page behind a link."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from time_machine import Traveller

from certifications.models import Certification
from mentors.models import Mentor, User
from tests.conftest import Certify
from tests.support.pages import RENEWING, Path, preference_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def pages(
    client: Client,
    to: Path,
    kari: User,
    mentor: Mentor,
    held: Certification,
    certify: Certify,
    clock: Traveller,
) -> Iterator[Any]:
    """Return every page that there is, each as a way to get it."""

    def every() -> Iterator[tuple[str, Callable[[], Any]]]:
        preference = preference_path(kari)
        yield "choose", lambda: client.get(to())
        yield "confirm", lambda: client.get(to(RENEWING))
        yield "answer", lambda: client.post(to(RENEWING))
        yield "choose again", lambda: client.get(to())
        yield "thanks", lambda: client.get(to(RENEWING))
        yield "answered", lambda: client.post(to(RENEWING))
        yield "wrong link", lambda: client.get(to() + "maybe/")
        yield "changed link", lambda: client.get("/a/1.2.3/")
        yield "preference", lambda: client.get(preference)
        yield "no preference", lambda: client.post(preference, {})
        yield "saved preference", lambda: client.post(preference, {"mail": "each", "language": ""})
        yield "unsubscribed", lambda: client.post(preference, {"List-Unsubscribe": "One-Click"})
        certify(mentor, issued=0)
        yield "renewed", lambda: client.get(to())
        Mentor.objects.filter(pk=mentor.pk).update(status=Mentor.Status.ENDED)
        yield "ended", lambda: client.get(to())
        clock.shift(timedelta(days=46))
        yield "old answer", lambda: client.get(to())
        yield "old preference", lambda: client.get(preference)

    return every()


def test_every_page_costs_at_most_four_queries(
    client: Client, to: Path, pages: Any, django_assert_max_num_queries: Any
) -> None:
    client.get(to())  # which fills what a process remembers
    # To write needs more, and each savepoint counts as two.
    limits = {"answer": 12, "answered": 5}
    for name, get in pages:
        with django_assert_max_num_queries(limits.get(name, 4), info=name):
            get()


def test_every_page_is_kept_from_caches_logs_scripts_and_search_engines_and_sets_no_cookie(pages: Any) -> None:
    for name, get in pages:
        page = get()

        assert (page["Cache-Control"], page["Referrer-Policy"], page["X-Robots-Tag"]) == (
            "no-store", "no-referrer", "noindex",
        ), name  # fmt: skip
        assert not page.cookies, name
        if page.status_code != 303:
            policy = page["Content-Security-Policy"]
            [nonce] = re.findall(r'<style nonce="([^"]+)">', page.content.decode())
            assert policy.startswith(f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self';"), name
            assert "script" not in policy + page.content.decode(), name


def test_every_page_can_be_read_by_everybody(pages: Any) -> None:
    for name, get in pages:
        page = get()
        if page.status_code != 303:
            assert Outline(page.content.decode()).faults() == [], name


class Outline(HTMLParser):
    """What makes a page hard to read or to operate (WCAG 2.1 AA)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.within: list[tuple[str, tuple[str, ...]]] = []  # texts, and in which elements they stand
        self.wrong_nesting: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "input":
            self.within.append(("an input", tuple(self.open)))
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            self.wrong_nesting.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.within.append((data.strip(), tuple(self.open)))

    def faults(self) -> list[str]:
        """Return what is wrong, in words."""
        names = [tag for tag, _attributes in self.tags]
        ids = [attributes["id"] for _tag, attributes in self.tags if "id" in attributes]
        described = [
            attributes[name]
            for _tag, attributes in self.tags
            for name in ("aria-describedby", "aria-labelledby")
            if name in attributes
        ]
        texts_of = {tag: [text for text, path in self.within if tag in path] for tag in set(names)}
        checks = {
            "no language": bool(dict(self.tags).get("html", {}).get("lang")),
            "not one title": names.count("title") == 1 and bool(texts_of["title"]),
            "not one heading": names.count("h1") == 1 and bool(texts_of["h1"]),
            "not one main": names.count("main") == 1,
            "the title is not the heading": texts_of["title"][0].startswith(texts_of["h1"][0]),
            "an id twice": len(ids) == len(set(ids)),
            "described by nothing": set(described) <= set(ids),
            "a button without words": names.count("button") == sum("button" in path for _text, path in self.within),
            "an input without a label": all("label" in path for text, path in self.within if text == "an input"),
            "a group without a legend": names.count("fieldset") == names.count("legend"),
            "no viewport": any(attributes.get("name") == "viewport" for _tag, attributes in self.tags),
            "elements that overlap": not self.wrong_nesting and not self.open,
        }
        return [fault for fault, is_right in checks.items() if not is_right]
