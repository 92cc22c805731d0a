"""Does the alarm work? `manage.py test_alert`."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.core.management.base import CommandError
from django.utils import timezone

from cronjobs import record_text
from cronjobs.models import Alert, Incident
from cronjobs.monitoring import alerts, incidents
from cronjobs.monitoring.alerts import AlertSender
from cronjobs.monitoring.incidents import DueAlert
from mentors.management.base import NattevaktCommand


class Command(NattevaktCommand):
    help = "Raise a test alarm by every route and clear it again; exit 1 if a route did not take it."

    def handle(self, *args: Any, **options: Any) -> None:
        if not alerts.routes():
            raise CommandError("There is no route to operations: set OPERATIONS_EMAIL or ALERT_URLS.")
        now = timezone.now()
        incident = Incident.objects.create(
            kind=Incident.Kind.TEST,
            key=f"test:{uuid4()}",
            title=record_text.ALERT_TEST(),
            details=record_text.NOTHING_WRONG(),
            began_at=now,
            seen_at=now,
        )
        failed = self._tell(incident, Alert.Event.RAISED)
        incident.ended_at = timezone.now()
        incident.save(update_fields=["ended_at"])
        failed |= self._tell(incident, Alert.Event.CLEARED)
        if failed:
            raise CommandError(f"The alarm did not get through by {', '.join(sorted(failed))}.")

    def _tell(self, incident: Incident, event: Alert.Event) -> set[str]:
        """Tell by every route and say how it went; return the routes that failed."""
        now, sender, due = timezone.now(), AlertSender(), DueAlert(incident=incident, event=event)
        incidents.claim(due, now=now)
        errors = incidents.notify_claimed(due, now=now, sender=sender)
        incident.refresh_from_db()
        for route, error in errors.items():
            self.stdout.write(f"{event.label}, {route}: {error or 'it got through'}")
        return {route for route, error in errors.items() if error}
