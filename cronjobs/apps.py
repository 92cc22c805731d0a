from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CronjobsConfig(AppConfig):
    name = "cronjobs"
    verbose_name = _("Nights")
