"""axe-core: what keeps people from using a page, by WCAG 2.1 A and AA, on a phone and a screen, by day and by night."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.browser.sizes import SIZES

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
RUN = "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})"
# What fades from one colour to the other is seen when it has arrived.
CHOOSE_SCHEME = """async () => {
  const root = document.documentElement, isDark = matchMedia('(prefers-color-scheme: dark)').matches;
  if (root.hasAttribute('x-data')) {
    const desk = Alpine.$data(root);
    desk.adminTheme = isDark ? 'light' : 'dark';
    await Alpine.nextTick();
    desk.adminTheme = 'auto';
    await Alpine.nextTick();
    if (root.classList.contains('dark') !== isDark) throw new Error(`the desk does not follow: ${root.className}`);
  }
  document.getAnimations().filter(one => one instanceof CSSTransition).forEach(one => one.finish());
}"""


def assert_accessible(page: Page, *, reload: bool = True) -> None:
    """Look at the page in every size and scheme of colours; a page that came of a form is not asked for again."""
    found = find_violations(page, widths=SIZES, reload=reload)
    assert not found, f"{page.url}\n" + "\n".join(found)


def find_violations(page: Page, *, widths: Iterable[int], reload: bool = True) -> list[str]:
    """Return what keeps people from using the page, by width and scheme of colours.

    The desk asks for the scheme when it is loaded, and is told of a new one; its scripts may measure a new width.
    """
    found = []
    for width in sorted(widths, reverse=True):
        if page.viewport_size != {"width": width, "height": SIZES[width][1]}:
            page.set_viewport_size({"width": width, "height": SIZES[width][1]})
            if reload:
                page.reload()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(CHOOSE_SCHEME)
            found += [f"{width} px, {scheme}: {line}" for line in _violations(page)]
    return found


def _violations(page: Page) -> list[str]:
    """Return what axe finds: the rule, where, and how to mend it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    report: dict[str, Any] = page.evaluate(RUN, list(RULES))
    return [
        f"{violation['id']} ({violation['help']})\n    at {', '.join(map(str, node['target']))}\n"
        f"    {node['html'][:200]}\n    {node['failureSummary']}"
        for violation in report["violations"]
        for node in violation["nodes"]
    ]
