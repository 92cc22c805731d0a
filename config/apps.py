from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class NattevaktConfig(AppConfig):
    default = True
    name = "config"
    verbose_name = "Nattevakt"

    def ready(self) -> None:
        from config import checks  # noqa: F401  registers them


class DeskConfig(admin.AdminConfig):
    """Django's admin, with our own site instead of its default."""

    default = False
    default_site = "mentors.desk.site.DeskSite"
