from __future__ import annotations

from django.apps import AppConfig


class NattevaktConfig(AppConfig):
    name = "config"
    verbose_name = "Nattevakt"

    def ready(self) -> None:
        from config import checks  # noqa: F401  registers them
