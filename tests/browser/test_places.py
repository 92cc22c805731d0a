"""What is seen of a chapter that looks like a real one, by those who only look; they share it, and change nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.axe import assert_accessible, find_violations
from tests.browser.conftest import NamedPlaces
from tests.browser.keyboard import Keyboard
from tests.browser.pictures import draw
from tests.browser.places import PLACES
from tests.browser.sizes import find_misfits
from tests.browser.visitor import Visitor


@pytest.mark.parametrize("name", PLACES)
def test_a_page_of_the_desk_fits_and_is_accessible_by_day_and_by_night(
    onlooker: Visitor, places: NamedPlaces, name: str, width: int
) -> None:
    page = onlooker.open(places[name])

    faults = find_misfits(page) + find_violations(page, widths=[width])

    assert not faults, f"{name}, {width} px\n" + "\n".join(faults)


@pytest.mark.parametrize("name", ["home", "mentors", "mentor", "run", "schedule", "import", "course"])
def test_every_stop_of_a_page_is_seen_and_its_end_is_reached(
    onlooker: Visitor, places: NamedPlaces, name: str, width: int
) -> None:
    page = onlooker.open(places[name])

    stops = Keyboard(page).walk()

    assert len(stops) > 3


def test_the_home_page_tells_of_last_night_and_of_who_is_paused(onlooker: Visitor, width: int) -> None:
    page = onlooker.open("/admin/")

    for heading in ("Last night", "The coming night", "Paused", "What expires"):
        expect(page.get_by_role("heading", name=heading).first).to_be_visible()
    expect(page.get_by_role("link", name="Odd Strand").first).to_be_visible()
    draw(page, "home")


class TestThePublicPage:
    def test_it_shows_whoever_is_covered_and_nobody_else(self, onlooker: Visitor, width: int) -> None:
        page = onlooker.open("/hlf/oslo/?lang=en")

        draw(page, "public")

        names = page.get_by_role("main").get_by_role("listitem")
        expect(names.filter(has_text="Liv Moe")).to_have_count(1)
        expect(names.filter(has_text="Odd Strand")).to_have_count(0)

    def test_with_names_it_is_accessible(self, onlooker: Visitor) -> None:
        page = onlooker.open("/hlf/oslo/")

        expect(page.get_by_text("Åse Ødegård")).to_be_visible()
        assert_accessible(page)

    def test_that_there_is_no_such_chapter_is_said_accessibly(self, onlooker: Visitor) -> None:
        with onlooker.expecting(404):
            assert_accessible(onlooker.open("/hlf/nowhere/"))
