"""Pictures of the pages for docs/desk.md: drawn when PICTURES is set, by the tests that come by anyway."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page

SHOWN = {
    "home": (375, 1440), "mentor": (375, 1440), "import": (375,), "course": (375,), "held": (1440,),
    "schedule": (1440,), "second-factor": (375,), "public": (375,),
}  # fmt: skip
FOLDER = Path(__file__).parents[2] / "docs" / "desk"


def draw(page: Page, name: str) -> None:
    """Keep the page as it is seen now, as docs/desk/NAME-WIDTH.png, if it is one of the pictures SHOWN there."""
    assert page.viewport_size
    if not os.environ.get("PICTURES") or page.viewport_size["width"] not in SHOWN[name]:
        return
    FOLDER.mkdir(exist_ok=True)
    page.mouse.move(0, 0)
    page.screenshot(path=FOLDER / f"{name}-{page.viewport_size['width']}.png", animations="disabled")
