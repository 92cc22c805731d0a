"""docs/settings.md has every variable that is read: by the settings, by Compose, and by what starts processes."""

from __future__ import annotations

import re
from collections import Counter

from tests.support.processes import PROJECT
from tests.support.settings import variables_of_the_settings

READ_BESIDE_THE_SETTINGS = re.compile(r"os\.environ(?:\.get|\.setdefault)\(\"(\w+)\"")
DJANGOS_OWN = {"DJANGO_SETTINGS_MODULE"}


def variables_of_compose() -> set[str]:
    """Return what docker-compose.yml takes from its environment: `${NAME…}`, and names without a value."""
    text = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
    return set(re.findall(r"(?<!\$)\$\{(\w+)", text)) | set(re.findall(r"^    ([A-Z_]+):$", text, re.MULTILINE))


def variables_of_processes() -> set[str]:
    sources = [*PROJECT.glob("config/*.py"), *PROJECT.glob("cronjobs/management/commands/*.py")]
    found = {name for path in sources for name in READ_BESIDE_THE_SETTINGS.findall(path.read_text(encoding="utf-8"))}
    return found - DJANGOS_OWN


def test_every_variable_is_documented_once_and_no_other() -> None:
    text = (PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")
    documented = Counter(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))

    assert documented == Counter(variables_of_the_settings() | variables_of_compose() | variables_of_processes())
