"""Everybody may reuse this: the licence is named and whole, and what the image is made of may be used under it."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pytest

from tests.support.processes import PROJECT

LOCKED = sorted(set(re.findall(r"^([\w.-]+)(?:\[.*\])?==", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)))
# Permissive licences, and those that ask only for changes of the library itself: LGPL and MPL.
FITS = re.compile(r"\b(BSD|MIT|Apache|ISC|PSF|Unlicense|CC0|MPL|LGPL)")
# Needed on other machines only: Windows, and older versions of Python.
ELSEWHERE = {"async-timeout", "colorama"}


def licences_of(name: str) -> list[str]:
    """Return everything that a distribution's metadata says of its licence."""
    found = metadata.metadata(name)
    licences = [text for field in ("License-Expression", "License") for text in found.get_all(field) or []]
    return licences + [text for text in found.get_all("Classifier") or [] if text.startswith("License ::")]


def test_the_licence_is_apache_2_and_named_by_its_spdx_identifier() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (PROJECT / "LICENSE").read_text(encoding="utf-8")

    assert project["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "Copyright 2026 The Nattevakt authors" in text


@pytest.mark.parametrize("name", [name for name in LOCKED if name not in ELSEWHERE])
def test_the_licence_of_a_dependency_fits(name: str) -> None:
    licences = licences_of(name)

    assert any(FITS.search(licence) for licence in licences), licences
