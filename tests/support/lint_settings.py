"""The settings with the linter of migrations (ADR 23), which is an app that production does not have."""

from __future__ import annotations

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
MIGRATION_LINTER_OPTIONS = {
    "include_apps": ["mentors", "certifications", "notifications", "cronjobs"],
    # What must be done all the same, with the reason beside it.
    "ignore_name": [
        # Before the first release: no version of before runs beside it.
        "0003_outages_of_components",
        "0002_record_text",
        "0004_record_text",
    ],
    "warnings_as_errors": [],  # no code is named, so every warning is one
    "no_cache": True,
}
