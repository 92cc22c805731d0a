"""A person without a mouse: Tab, Enter, Space and letters, and at each stop a look at where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import ElementHandle, Locator, Page

from tests.browser.visitor import PATIENCE

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
# Where the focus is, when it is seen; until then it is looked for in every frame that is drawn.
ARRIVE = """async ([patience, target]) => {
  const { look, looks, before } = window.focusProbe, here = document.activeElement;
  const whyUnseen = () => {
    if (here === document.body || here === before || !looks.has(here)) return '';
    const box = here.getBoundingClientRect();
    const isInside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0
      && box.top < innerHeight && box.left < innerWidth;
    if (!isInside) return `it is out of sight, at ${JSON.stringify(box)}`;
    return look(here) === looks.get(here) ? `it looks as without the focus: ${look(here)}` : '';
  };
  const DATE = '[type=date]'; // its day, month and year are three stops
  const numbers = window.focusNumbers ??= new Map(), isOutside = here === document.body;
  if (!numbers.has(here)) numbers.set(here, numbers.size);
  const words = here.getAttribute('aria-label') || here.labels?.[0]?.innerText || here.innerText || here.value || '';
  const deadline = performance.now() + patience;
  while (whyUnseen() && performance.now() < deadline) await new Promise(requestAnimationFrame);
  return { number: numbers.get(here), isOutside, isTarget: here === target, whyUnseen: whyUnseen(),
    isStuck: here === before && !isOutside && !here.matches(DATE),
    words: `<${here.localName}> ${here.id} ${words.trim().slice(0, 60)}` };
}"""


@dataclass(frozen=True)
class Stop:
    """Where the focus is."""

    number: int
    words: str
    is_outside: bool  # of the page: at its end, before its beginning
    is_target: bool


class Keyboard:
    """The keyboard of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def tab(self, *, key: str = "Tab", target: ElementHandle | None = None) -> Stop:
        """Go one stop further; fail if the focus is caught, or cannot be seen."""
        self.page.evaluate(PREPARE)
        self.page.keyboard.press(key)
        stop: dict[str, Any] = self.page.evaluate(ARRIVE, [PATIENCE, target])
        assert not stop["isStuck"], f"the focus is caught at {stop['words']} of {self.page.url}"
        why = stop["whyUnseen"]
        assert not why, f"nobody sees the focus at {stop['words']} of {self.page.url}: {why}"
        return Stop(
            number=stop["number"], words=stop["words"], is_outside=stop["isOutside"], is_target=stop["isTarget"]
        )

    def go_to(self, target: Locator, *, key: str = "Tab") -> None:
        """Press Tab until the target has the focus."""
        passed: list[str] = []
        element = target.element_handle()
        while len(passed) < MOST_STOPS:
            stop = self.tab(key=key, target=element)
            if stop.is_target:
                return
            passed.append(stop.words)
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
