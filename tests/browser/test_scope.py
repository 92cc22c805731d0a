"""A coordinator of another chapter looks for a mentor who is not theirs, and finds nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from mentors.models import Chapter, CoordinatorRole, Mentor, User
from tests.browser.conftest import Visit
from tests.conftest import Certify, Enrol


@pytest.fixture
def bente(bergen: Chapter) -> User:
    """The coordinator of Bergen."""
    user = User.objects.create_user("bente", email="bente@example.org")
    CoordinatorRole.objects.create(user=user, organisation=bergen.organisation, chapter=bergen)
    return user


@pytest.fixture
def in_bergen(enrol: Enrol, bergen: Chapter, certify: Certify) -> Mentor:
    mentor = enrol(chapter=bergen, name="Liv Bergersen")
    certify(mentor)
    return mentor


def test_search_and_suggestions_find_only_their_own(
    visit: Visit, bente: User, mentor: Mentor, in_bergen: Mentor, certify: Certify, width: int
) -> None:
    certify(mentor)
    visitor = visit(bente)
    page = visitor.open("/admin/mentors/mentor/?q=Liv")
    expect(page.get_by_role("link", name="Liv Bergersen")).to_be_visible()
    expect(page.get_by_text("Liv Moe")).to_have_count(0)

    page = visitor.open("/admin/certifications/certification/add/")
    page.get_by_role("combobox", name="Mentor").click()
    page.get_by_role("searchbox").last.fill("Liv")

    expect(page.get_by_role("option", name="Liv Bergersen")).to_be_visible()
    expect(page.get_by_role("option", name="Liv Moe")).to_have_count(0)


@pytest.mark.parametrize("of", ["mentor", "certification"])
def test_a_guessed_id_is_not_there(visit: Visit, bente: User, mentor: Mentor, certify: Certify, of: str) -> None:
    certification = certify(mentor)
    paths = {
        "mentor": f"/admin/mentors/mentor/{mentor.pk}/",
        "certification": f"/admin/certifications/certification/{certification.pk}/",
    }
    buttons = {"mentor": ["pause", "resume", "end", "timeline"], "certification": ["renew", "revoke"]}
    visitor = visit(bente)

    page = visitor.open(f"{paths[of]}change/")
    expect(page.get_by_text("doesn’t exist")).to_be_visible()
    assert page.get_by_text("Liv Moe").count() == 0
    for button in buttons[of]:
        with visitor.expecting(404):
            page = visitor.open(f"{paths[of]}{button}/")
            assert page.get_by_text("Liv Moe").count() == 0
            assert page.get_by_role("heading", name="Not Found").is_visible()
