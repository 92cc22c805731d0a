"""Every page fits a telephone and a screen, and what is to be pressed is large enough for a finger."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from mentors.models import User
from tests.browser.conftest import Visit
from tests.browser.places import PLACES, find_places
from tests.browser.scenes import Scene

SMALLEST = 24  # CSS pixels (WCAG 2.2, 2.5.8)
WIDTHS = "[document.scrollingElement.scrollWidth, innerWidth]"
SMALL = """smallest => [...document.querySelectorAll('button, summary, input[type=submit], a.desk-button')]
  .map(element => [element, element.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.width < smallest || box.height < smallest))
  .map(([element, box]) => `${element.outerHTML.slice(0, 120)}: ${box.width} × ${box.height}`)"""


def test_nothing_is_wider_than_the_page_and_no_button_is_small(
    visit: Visit, olav: User, scene: Scene, width: int
) -> None:
    places = find_places(scene)
    visitor = visit(olav)

    faults = {name: _faults(visitor.open(places[name])) for name in PLACES}

    assert [f"{name}: {fault}" for name, found in faults.items() for fault in found] == []


def _faults(page: Page) -> list[Any]:
    page_is, there_is = page.evaluate(WIDTHS)
    too_wide = [f"{page_is} px of {there_is} px"] if page_is > there_is else []
    return too_wide + list(page.evaluate(SMALL, SMALLEST))
