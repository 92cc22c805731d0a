"""Beat, as the night needs it: it shows that it works, loads every entry, and says what it sends.

Celery swallows the error of a publish, and has moved `last_run_at` by then, so that column proves nothing. What proves
something is written here as heartbeats: that the loop turns, and that the broker took a message.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery.schedules import schedstate
from django.core.exceptions import ValidationError
from django.db import Error
from django.db import connection as database
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import cached_property
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry
from kombu import Connection

from cronjobs import heartbeats
from cronjobs.cron import latest_slot
from cronjobs.models import Component, CronJob, Run
from cronjobs.schedules.drift import TASK
from mentors.clock import latest_believed

log = structlog.get_logger(__name__)

HEARTBEAT_INTERVAL = timedelta(seconds=20)
# A broker that accepts and is silent costs a publish three times this. Beat's loop must turn all the same.
BROKER_PATIENCE = {"socket_timeout": 5, "socket_connect_timeout": 5}


class NightEntry(ModelEntry):  # type: ignore[misc]  # it has no types
    """An entry that does not wait for a time that a wrong clock has written."""

    last_run_at: datetime

    def is_due(self) -> schedstate:
        now = timezone.now()
        if self.last_run_at > latest_believed(now=now):
            self.last_run_at = self.model.last_run_at = now
        due: schedstate = super().is_due()
        return due


class NightScheduler(DatabaseScheduler):  # type: ignore[misc]  # it has no types
    """The scheduler of django-celery-beat with heartbeats, and without its gaps."""

    Entry = NightEntry

    def __init__(self, *args: Any, **options: Any) -> None:
        self._heard_at: dict[Component, datetime] = {}
        self._turned_at = timezone.now()
        super().__init__(*args, **options)

    def tick(self, *args: Any, **options: Any) -> float:
        """Turn once. First the heartbeat: the sweep that is sent below must know until when beat was silent."""
        self._record_heartbeat(Component.BEAT)
        now = timezone.now()
        if self._turned_at > latest_believed(now=now):  # the clock was ahead: what is planned by it lies too far ahead
            self._read_anew()
        self._turned_at = now
        seconds: float = super().tick(*args, **options)
        return seconds

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Publish an entry, and say what came of it; a broker that does not take it must not end the loop."""
        slot = self._slot_of(entry)
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except Exception as error:
            cause = type(error.__context__ or error).__name__  # its text may quote the broker's address
            log.error("publish failed", event_name="publish_failed", entry=entry.name, error=cause, **slot)
            self._note(heartbeats.record_failure, Component.BROKER)
            return
        self._record_heartbeat(Component.BROKER)
        if slot:
            log.info("slot sent", event_name="slot_sent", **slot)

    def enabled_models_qs(self) -> QuerySet[PeriodicTask]:
        """Load every entry that is switched on.

        django-celery-beat loads only crontabs whose hour is near, and finds those by the zone's offset in January. A
        beat that was down at 02:00 and starts at 05:30 would not look at the entry, and would fire it two hours early
        the next night. Ours are a handful, which cost nothing to load. The sweep does not rely on any of it: it finds
        the slot that has no run in the database.
        """
        enabled: QuerySet[PeriodicTask] = self.Model.objects.enabled()
        return enabled

    def enabled_models(self) -> list[PeriodicTask]:
        """Read each entry by itself: one that nobody can read, as of a time zone that is gone, stops no other."""
        ids = list(self.enabled_models_qs().values_list("pk", flat=True))
        return [model for pk in ids if (model := self._read(pk))]

    def _read(self, pk: int) -> PeriodicTask | None:
        try:
            model = self.Model.objects.get(pk=pk)
            self.Entry(model, app=self.app)
        except Error:
            raise
        except self.Model.DoesNotExist:  # removed just now
            return None
        except Exception as error:
            log.error("entry cannot be read", event_name="entry_broken", entry=pk, error=type(error).__name__)
            return None
        return model

    def all_as_schedule(self) -> dict[str, ModelEntry]:
        """Read the schedule; while the database is away, go on with the one that is known and ask again next turn."""
        read: dict[str, ModelEntry]
        try:
            read = super().all_as_schedule()
        except Error as error:
            if self._schedule is None:
                raise
            self._log_database_error(error)
            self._read_anew()
            # As they have run meanwhile: those that are known say when each had run before.
            read = {name: self.Entry(entry.model, app=self.app) for name, entry in self._schedule.items()}
        return read

    def _read_anew(self) -> None:
        """Have the whole schedule read next turn."""
        self._last_full_sync = datetime.min  # noqa: DTZ901  it is compared with naive ones, there

    @cached_property
    def connection(self) -> Connection:
        broker: Connection = self.app.connection_for_write(transport_options=BROKER_PATIENCE)
        return broker

    def _ensure_connected(self) -> Connection:
        """Leave it to each publish to connect, and to fail: waiting here for the broker would stop the loop."""
        broker: Connection = self.connection
        return broker

    def _slot_of(self, entry: ModelEntry) -> dict[str, object]:
        """Return what is logged of a job's slot that is sent now; nothing for other entries, or if it is not known."""
        if entry.task != TASK:
            return {}
        now = timezone.now()
        try:
            job = CronJob.objects.get(pk=entry.args[0])
            slot = latest_slot(job.cron_expression, job.timezone, now=now)
        except (Error, CronJob.DoesNotExist, ValidationError, LookupError, TypeError, ValueError) as error:
            log.warning("slot unknown", event_name="slot_unknown", entry=entry.name, error=type(error).__name__)
            return {}
        run_id = str(Run.id_of_slot(job.pk, slot)) if slot else None
        return {"cron_job": job.pk, "slot": str(slot), "run_id": run_id}

    def _record_heartbeat(self, component: Component) -> None:
        """Note a heartbeat, unless there was one just now. What could not be noted is tried again next turn."""
        now = timezone.now()
        last = self._heard_at.get(component)
        if (last is None or abs(now - last) >= HEARTBEAT_INTERVAL) and self._note(
            heartbeats.record_heartbeat, component
        ):
            self._heard_at[component] = now

    def _note(self, note: Callable[..., None], component: Component) -> bool:
        """Write to the database, if it is there: beat goes on without it, and closes what is broken to come back."""
        try:
            note(component, now=timezone.now())
        except Error as error:
            self._log_database_error(error)
            database.close()
            return False
        return True

    def _log_database_error(self, error: Error) -> None:
        log.warning("beat does not reach the database", event_name="beat_database_error", error=type(error).__name__)
