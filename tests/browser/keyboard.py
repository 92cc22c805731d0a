"""A person without a mouse: Tab, Enter, Space and letters, and at each stop a look at where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as TookTooLong

MOST_STOPS = 200

# An element shows its focus by how it looks itself, or by what is around it. `looks` is how all looked without it.
PREPARE = """() => {
  const FOCUSABLE = 'a[href], button, input, select, textarea, summary, [tabindex]';
  const PARTS = ['outlineStyle', 'outlineWidth', 'outlineColor', 'boxShadow', 'borderColor', 'backgroundColor', 'color',
    'textDecorationLine', 'opacity', 'clip'];
  const look = (element) => [element, element.parentElement, element.labels?.[0]].filter(Boolean)
    .flatMap((part) => { const style = getComputedStyle(part); return PARTS.map((name) => style[name]); }).join();
  const looks = new Map([...document.querySelectorAll(FOCUSABLE)].map((element) => [element, look(element)]));
  looks.delete(document.activeElement);
  window.focusProbe = { look, looks, before: document.activeElement };
}"""
WHY_UNSEEN = """() => {
  const { look, looks, before } = window.focusProbe, here = document.activeElement;
  if (here === document.body || here === before || !looks.has(here)) return '';
  const box = here.getBoundingClientRect();
  const isInside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0
    && box.top < innerHeight && box.left < innerWidth;
  if (!isInside) return `it is out of sight, at ${JSON.stringify(box)}`;
  return look(here) === looks.get(here) ? `it looks as without the focus: ${look(here)}` : '';
}"""
WHERE = """() => {
  const DATE = '[type=date]'; // its day, month and year are three stops
  const here = document.activeElement, numbers = window.focusNumbers ??= new Map();
  if (!numbers.has(here)) numbers.set(here, numbers.size);
  const words = here.getAttribute('aria-label') || here.labels?.[0]?.innerText || here.innerText || here.value || '';
  const isOutside = here === document.body;
  return { number: numbers.get(here), isOutside,
    isStuck: here === window.focusProbe.before && !isOutside && !here.matches(DATE),
    words: `<${here.localName}> ${here.id} ${words.trim().slice(0, 60)}` };
}"""


@dataclass(frozen=True)
class Stop:
    """Where the focus is."""

    number: int
    words: str
    is_outside: bool  # of the page: at its end, before its beginning


class Keyboard:
    """The keyboard of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def tab(self, *, key: str = "Tab") -> Stop:
        """Go one stop further; fail if the focus is caught, or cannot be seen."""
        self.page.evaluate(PREPARE)
        self.page.keyboard.press(key)
        stop: dict[str, Any] = self.page.evaluate(WHERE)
        assert not stop["isStuck"], f"the focus is caught at {stop['words']} of {self.page.url}"
        try:
            self.page.wait_for_function(f"() => !({WHY_UNSEEN})()")
        except TookTooLong as error:
            why = self.page.evaluate(WHY_UNSEEN)
            raise AssertionError(f"nobody sees the focus at {stop['words']} of {self.page.url}: {why}") from error
        return Stop(number=stop["number"], words=stop["words"], is_outside=stop["isOutside"])

    def go_to(self, target: Locator, *, key: str = "Tab") -> None:
        """Press Tab until the target has the focus."""
        passed: list[str] = []
        while len(passed) < MOST_STOPS:
            passed.append(self.tab(key=key).words)
            if target.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{target} is not reached by {key}, but these are: {passed}")

    def press(self, target: Locator, key: str = "Enter") -> None:
        """Go to the target and press the key there."""
        self.go_to(target)
        self.page.keyboard.press(key)

    def follow(self, target: Locator, key: str = "Enter") -> None:
        """Press the target, and wait for the page to which it leads."""
        self.go_to(target)
        with self.page.expect_navigation():
            self.page.keyboard.press(key)

    def write(self, target: Locator, text: str) -> None:
        """Go to the field and write the text in the place of what is there."""
        self.go_to(target)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def walk(self) -> list[Stop]:
        """Go through the whole page, and return all stops; fail if there is no way out."""
        stops = [self.tab()]
        while len(stops) < MOST_STOPS:
            stop = self.tab()
            if stop.is_outside or stop.number == stops[0].number:
                return stops
            stops.append(stop)
        raise AssertionError(f"{self.page.url} does not end: {[stop.words for stop in stops]}")
