"""What a visitor of the public page sees while somebody works at the desk (rule 11)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from mentors.models import Mentor, User
from tests.browser.conftest import Visit
from tests.conftest import Certify


@pytest.mark.parametrize("width", [375, pytest.param(1440, marks=pytest.mark.canary)])
def test_a_mentor_is_gone_at_once_when_her_certification_is_revoked(
    visit: Visit, kari: User, mentor: Mentor, certify: Certify, width: int
) -> None:
    certify(mentor)
    visitor = visit()
    public = visitor.open("/hlf/oslo/")
    name = public.get_by_text("Liv Moe")
    expect(name).to_be_visible()
    public.reload()  # so that the browser has a copy, and knows its tag
    expect(name).to_be_visible()

    desk = visit(kari).open(f"/admin/mentors/mentor/{mentor.pk}/change/")
    desk.get_by_role("link", name="Revoke Kurs").click()
    desk.get_by_label("Reason").fill("She has left the association.")
    desk.get_by_role("button", name="Revoke").click()
    expect(desk.get_by_text("Revoked, and Liv Moe is paused.")).to_be_visible()

    for path in ("/hlf/oslo/", "/hlf/oslo/", "/hlf/oslo/?lang=en"):
        visitor.open(path)
        expect(public.get_by_role("main")).to_be_visible()
        expect(name).to_have_count(0)
