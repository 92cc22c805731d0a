from __future__ import annotations

from anymail.signals import tracking
from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        from notifications.bounces import record_event  # reads models, which are there from now on

        # A signal, because django-anymail has no other way to say what a provider reports.
        tracking.connect(record_event, dispatch_uid="notifications.bounces")
