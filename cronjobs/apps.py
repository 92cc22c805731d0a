from __future__ import annotations

from django.apps import AppConfig


class CronjobsConfig(AppConfig):
    name = "cronjobs"
