from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MentorsConfig(AppConfig):
    name = "mentors"
    verbose_name = _("People")

    def ready(self) -> None:
        # They listen: who logs in, whose access ends, what is recorded of it.
        from mentors.accounts import access, known_devices, security_signals  # noqa: F401
