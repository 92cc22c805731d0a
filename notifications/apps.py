from __future__ import annotations

from anymail.signals import tracking
from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = _("Messages")

    def ready(self) -> None:
        from notifications import account_mail, record_text  # noqa: F401  listens; registers what its records say
        from notifications.bounces import record_event  # reads models, which are there from now on

        # A signal, because django-anymail has no other way to say what a provider reports.
        tracking.connect(record_event, dispatch_uid="notifications.bounces")
