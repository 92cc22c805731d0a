"""What is installed is what was locked: by version and hash, from any registry, and listed for whoever asks."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.processes import PROJECT
from tests.support.sbom import FILE, PIN, read_lock, write_sbom

LOCKS = ("requirements.txt", "requirements-dev.txt")


def entries(lock: str) -> list[str]:
    """Return each package with its hashes, on one line."""
    text = re.sub(r"^ *#.*\n", "", (PROJECT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return text.replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_one_version_and_hashes(lock: str) -> None:
    found = entries(lock)

    assert len(found) > 50
    assert [line for line in found if not PIN.match(line) or not re.search(r"--hash=sha256:[0-9a-f]{64}\b", line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_package_comes_from_a_place_of_its_own(lock: str) -> None:
    text = (PROJECT / lock).read_text(encoding="utf-8")

    assert not re.search(r"://|^ *-|--index|--find| @ ", re.sub(r"--hash=", "", text), re.MULTILINE)


def test_what_is_developed_with_is_what_runs() -> None:
    runs, developed = read_lock("requirements.txt"), read_lock("requirements-dev.txt")

    assert {name: version for name, (version, _by) in runs.items() if developed[name][0] != version} == {}


class TestSbom:
    """docs/sbom.json; `make sbom` writes it."""

    def test_it_lists_what_is_locked(self) -> None:
        assert FILE.read_text(encoding="utf-8") == write_sbom()

    def test_it_says_what_needs_what(self) -> None:
        needs = {one["ref"]: one.get("dependsOn", []) for one in json.loads(write_sbom())["dependencies"]}

        assert any(ref.startswith("pkg:pypi/django@") for ref in needs["root"])
        celery = next(ref for ref in needs if ref.startswith("pkg:pypi/celery@"))
        assert any(ref.startswith("pkg:pypi/kombu@") for ref in needs[celery])

    def test_it_names_no_registry_and_no_moment(self) -> None:
        sbom = json.loads(write_sbom())

        assert not {"serialNumber", "timestamp", "tools"} & (sbom.keys() | sbom["metadata"].keys())
        assert set(re.findall(r"https?://([^/\"]+)", json.dumps(sbom))) == {"cyclonedx.org"}
