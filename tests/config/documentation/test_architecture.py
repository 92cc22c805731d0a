"""docs/architecture.md names files and functions that exist, and every sub-package of the apps."""

from __future__ import annotations

import re

import pytest

from tests.support.processes import PROJECT

TEXT = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = TEXT.split("```")[1]
APPS = ("certifications", "config", "cronjobs", "mentors", "notifications")
# A path from the root of the project, and perhaps the function or class in it: `cronjobs/nightly.py: claim_run`.
PATH = re.compile(rf"\b((?:{'|'.join(APPS)})/[\w./]*\w(?:\.\w+)?/?)(?:: (\w+))?")
# A file or folder of the diagram of the rooms, below the app of its block.
BLOCK = re.compile(rf"^({'|'.join(APPS)})/ .*\n(?:.+\n)*", re.MULTILINE)
NAME = re.compile(r"\b([a-z_]+(?:\.py|/))(?=[\s,])")
INTERFACES = NAME.findall(re.findall(r"^interfaces .*", ROOMS, re.MULTILINE)[0])  # each app may have one


def diagram_of_rooms() -> list[tuple[str, str]]:
    """Return (app, name) of everything in the diagram of the rooms."""
    return [(block[1], name) for block in BLOCK.finditer(ROOMS) for name in NAME.findall(block[0].partition("/")[2])]


def sub_packages() -> list[str]:
    found = [path.parent for app in APPS for path in (PROJECT / app).glob("*/__init__.py")]
    return sorted(str(path.relative_to(PROJECT)) for path in found if path.name not in {"migrations", "templatetags"})


@pytest.mark.parametrize(("path", "name"), sorted(set(PATH.findall(TEXT))))
def test_what_is_named_exists(path: str, name: str) -> None:
    target = PROJECT / path

    assert target.is_dir() if path.endswith("/") else target.is_file()
    assert not name or re.search(rf"^(?:def|class) {name}\b", target.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("app", "name"), diagram_of_rooms())
def test_what_stands_in_the_diagram_of_the_rooms_exists(app: str, name: str) -> None:
    assert (PROJECT / app / name).exists()


@pytest.mark.parametrize("package", sub_packages())
def test_every_sub_package_is_mentioned(package: str) -> None:
    app, name = package.split("/")

    named = {*diagram_of_rooms(), *((app, interface) for interface in INTERFACES)}
    assert (app, f"{name}/") in named or f"{package}/" in TEXT
