"""How wide the browser is, a small telephone and a usual screen, and whether a page fits it."""

from __future__ import annotations

from playwright.sync_api import Page

SIZES = {375: (375, 812), 1440: (1440, 900)}
SMALLEST = 24  # CSS pixels (WCAG 2.2, 2.5.8)
WIDTHS = "[document.scrollingElement.scrollWidth, innerWidth]"
SMALL = """smallest => [...document.querySelectorAll('button, summary, input[type=submit], a.desk-button')]
  .map(element => [element, element.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.width < smallest || box.height < smallest))
  .map(([element, box]) => `${element.outerHTML.slice(0, 120)}: ${box.width} × ${box.height}`)"""


def find_misfits(page: Page) -> list[str]:
    """Return how much the page is wider than the window, and what is too small for a finger."""
    page_is, there_is = page.evaluate(WIDTHS)
    too_wide = [f"{page_is} px of {there_is} px"] if page_is > there_is else []
    return too_wide + [f"too small: {button}" for button in page.evaluate(SMALL, SMALLEST)]
