"""The settings: of another environment, read in this process, and which variables they read."""

from __future__ import annotations

import os
import re
import runpy
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

from tests.support.processes import PROJECT


def read_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what config/settings.py makes of this environment and no other; raises what a start of it ends with."""
    # The log of the tests stays as it is.
    with patch.dict(os.environ, environment, clear=True), patch("config.logs.configure_logging"):
        return runpy.run_path(str(PROJECT / "config" / "settings.py"))


def variables_of_the_settings() -> set[str]:
    """Return every variable that config/settings.py reads."""
    return set(re.findall(r"\benv(?:\.\w+)?\(\s*\"(\w+)\"", (PROJECT / "config" / "settings.py").read_text()))
