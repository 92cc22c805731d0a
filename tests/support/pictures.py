"""Draws each message as it is read, in its three languages side by side: `make pictures` writes docs/messages/."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import django
from django.template.loader import render_to_string

PICTURES = Path(__file__).parents[2] / "docs" / "messages"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1320  # three telephones
SCALE = 0.7  # as wide as a page of documentation
HEIGHT = re.compile(r'data-height="(\d+)"')


def main() -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"None of {', '.join(BROWSERS)} is here to draw with. On Debian: apt-get install chromium")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        sheets = _write_sheets(Path(folder))
        for slug, sheet in sheets.items():
            _draw(browser, sheet, PICTURES / f"{slug}.png")
    for picture in PICTURES.glob("*.png"):
        if picture.stem not in sheets:
            picture.unlink()
    print(f"{len(sheets)} pictures in {PICTURES}")


def _write_sheets(folder: Path) -> dict[str, Path]:
    """Write a page for each message, and return the pages by the message's slug."""
    from mentors.models import LANGUAGES
    from notifications.messages.previews import Preview, previews

    by_slug: dict[str, list[Preview]] = defaultdict(list)
    for preview in previews(languages=[code for code, _name in LANGUAGES]):
        by_slug[preview.slug].append(preview)
    sheets = {}
    for slug, found in by_slug.items():
        sheets[slug] = folder / f"{slug}.html"
        page = render_to_string("notifications/sheet.html", {"slug": slug, "previews": found})
        sheets[slug].write_text(page, encoding="utf-8")
    return sheets


def _draw(browser: str, sheet: Path, picture: Path) -> None:
    """Ask the page how high it is, then draw just that."""
    page = _browse(browser, "--dump-dom", f"--window-size={WIDTH},900", sheet.as_uri())
    found = HEIGHT.search(page)
    if found is None:
        sys.exit(f"{sheet.name} does not say how high it is: has the browser loaded it?")
    size, scale = f"--window-size={WIDTH},{found[1]}", f"--force-device-scale-factor={SCALE}"
    _browse(browser, f"--screenshot={picture}", size, scale, sheet.as_uri())


def _browse(browser: str, *arguments: str) -> str:
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to start as root with its sandbox
    command = [browser, "--headless", "--disable-gpu", "--hide-scrollbars", *as_root, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


if __name__ == "__main__":
    main()
