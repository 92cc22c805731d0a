"""Writes docs/sbom.json from the lock: what the image is made of, as CycloneDX. The same lock gives the same file."""

from __future__ import annotations

import re
import tomllib

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tests.support.processes import PROJECT

FILE = PROJECT / "docs" / "sbom.json"
PIN = re.compile(r"^([\w.-]+)(?:\[.*\])?==([^ \\;]+)")
VIA = re.compile(r"^    #(?: via|  ) +([\w.-]+)")


def read_lock(name: str) -> dict[str, tuple[str, list[str]]]:
    """Return each package's version, and what needs it."""
    found: dict[str, tuple[str, list[str]]] = {}
    needed_by: list[str] = []
    for line in (PROJECT / name).read_text(encoding="utf-8").splitlines():
        if pin := PIN.match(line):
            needed_by = []
            found[pin[1]] = (pin[2], needed_by)
        elif via := VIA.match(line):
            needed_by.append(via[1])
    return found


def write_sbom() -> str:
    """Return the file's text, without the time and the number by which CycloneDX tells two runs apart."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    root = Component(name=project["name"], version=project["version"], type=ComponentType.APPLICATION, bom_ref="root")
    lock = read_lock("requirements.txt")
    parts = {name: _component(name, version) for name, (version, _needed_by) in lock.items()}
    bom = Bom(components=parts.values())
    bom.metadata.component = root
    bom.metadata.tools.components.clear()
    for name, part in parts.items():
        for other in lock[name][1]:
            bom.register_dependency(parts.get(other, root), [part])
    bom.serial_number = bom.metadata.timestamp = None  # type: ignore[assignment]  # which the schema allows
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(name: str, version: str) -> Component:
    url = PackageURL("pypi", name=name, version=version)
    return Component(name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=str(url))


if __name__ == "__main__":
    FILE.write_text(write_sbom(), encoding="utf-8")
