"""The page that documents the API works under a policy that lets no script stand in it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from mentors.models import Chapter
from tests.browser.conftest import Visit


@pytest.mark.canary
def test_it_shows_the_operations_and_tries_them_out(visit: Visit, oslo: Chapter) -> None:
    page = visit().open("/api/v1/docs")
    listing = page.locator("#operations-public-public_chapters_mentors_list")

    expect(listing).to_be_visible()
    listing.click()
    listing.get_by_role("button", name="Try it out").click()
    listing.get_by_placeholder("organisation").fill("hlf")
    listing.get_by_placeholder("chapter").fill("oslo")
    listing.get_by_role("button", name="Execute").click()

    expect(listing.locator(".live-responses-table").get_by_text('"results": []')).to_be_visible()
