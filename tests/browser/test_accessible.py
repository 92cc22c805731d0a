"""axe-core finds nothing on the pages that one comes to by doing something; the others are in test_places.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from certifications.models import CertificationType
from cronjobs.models import Run
from mentors.models import Chapter, Mentor, Organisation, User
from notifications.links import PREFERENCE, links_of
from notifications.models import Answer, Notification
from notifications.signing import sign_id
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.scenes import ROSTER
from tests.conftest import Certify
from tests.support.nights import run_night

RENEWING = Answer.Choice.RENEWING


@pytest.fixture
def reminder(
    hlf: Organisation, mentor: Mentor, certify: Certify, kari: User, today: date, settings: Any
) -> Notification:
    """Return what the night wrote to the mentor."""
    settings.PUBLIC_URL = "https://nattevakt.example"
    certify(mentor, expires_in=14)
    run_night(hlf, today, now=timezone.now())
    return Notification.objects.get(recipient_mentor=mentor, kind=Notification.Kind.NIGHT)


class TestThePublicPage:
    def test_with_nobody_on_it(self, visit: Visit, oslo: Chapter) -> None:
        assert_accessible(visit().open("/hlf/oslo/"))


class TestTheAnswerPages:
    def test_to_choose_to_confirm_and_to_be_thanked(self, visit: Visit, reminder: Notification) -> None:
        links = links_of(reminder)
        visitor = visit()

        assert_accessible(visitor.open(urlsplit(links.answer).path))
        page = visitor.open(urlsplit(links.answers[RENEWING]).path)
        assert_accessible(page)
        page.get_by_role("main").get_by_role("button").click()
        assert_accessible(page)

    def test_with_a_link_that_was_changed(self, visit: Visit, hlf: Organisation) -> None:
        visitor = visit()

        with visitor.expecting(404):
            assert_accessible(visitor.open("/a/1.2.3/"))

    def test_of_preferences(self, visit: Visit, kari: User) -> None:
        page = visit().open(reverse("preference", args=[sign_id(kari.pk, purpose=PREFERENCE)]))
        assert_accessible(page)

        page.get_by_role("main").get_by_role("button").first.click()

        assert_accessible(page)


class TestTheDesk:
    def test_the_preview_of_a_roster(self, visit: Visit, olav: User, oslo: Chapter, course: CertificationType) -> None:
        page = visit(olav).open("/admin/certifications/rosterupload/import/")
        roster: Any = {"name": "roster.csv", "mimeType": "text/csv", "buffer": ROSTER.encode()}
        page.get_by_label("Roster").set_input_files(roster)
        page.get_by_role("button", name="Show the preview").click()

        expect(page.get_by_role("row").filter(has_text="Wrong")).to_have_count(2)
        assert_accessible(page, reload=False)

    def test_a_held_run(self, visit: Visit, olav: User, hold: Callable[[], Mentor]) -> None:
        hold()
        page = visit(olav).open(f"/admin/cronjobs/run/{Run.objects.get().pk}/change/")

        expect(page.get_by_role("link", name="Approve")).to_be_visible()
        assert_accessible(page)
