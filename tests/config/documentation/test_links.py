"""What the documentation says must be so: its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from tests.support.processes import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "SECURITY.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
]


def shell_lines(text: str) -> list[str]:
    """Return the commands of the console blocks, continued lines joined."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line[2:] for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.startswith("$ ")]


MANAGE_LINES = [line for line in shell_lines(README) if "manage.py" in line]


@pytest.mark.parametrize("line", MANAGE_LINES)
def test_every_manage_command_of_the_readme_takes_its_options(line: str) -> None:
    words = shlex.split(line)
    name, *arguments = words[words.index("manage.py") + 1 :] if "manage.py" in words else words[2:]

    command = load_command_class(get_commands()[name], name)
    options = command.create_parser("manage.py", name).parse_args(arguments)

    assert options


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z]+)", "\n".join(shell_lines(README))))))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", document.read_text(encoding="utf-8"))

    missing = [link for link in links if not (document.parent / link).exists()]

    assert missing == []
