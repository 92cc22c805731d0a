"""What monitoring knows: when each component was heard of, what is wrong, and who was notified."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from cronjobs.models.jobs import CronJob
from mentors.models import Organisation
from mentors.record_text import RecordTextField


class Component(models.TextChoices):
    """What has to work for a night to happen by itself."""

    BEAT = "beat", _("beat")
    BROKER = "broker", _("the broker")
    WORKERS = "workers", _("the workers")
    WATCHDOG = "watchdog", _("the watchdog")


class Heartbeat(models.Model):
    """When a component last showed that it works: beat by its loop, the broker by a message, the workers by a task."""

    component = models.CharField(_("component"), max_length=8, choices=Component, primary_key=True)
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return f"{self.component}: {self.at}"


class Outage(models.Model):
    """A time during which a component was not heard of; it is written when the component is heard of again."""

    component = models.CharField(_("component"), max_length=8, choices=Component)
    from_at = models.DateTimeField(_("from"))
    until_at = models.DateTimeField(_("until"))

    class Meta:
        verbose_name = _("outage")
        verbose_name_plural = _("outages")
        constraints = [
            # Two that hear of the part at the same moment write one outage.
            models.UniqueConstraint(fields=["component", "from_at"], name="outage_is_written_once"),
            models.CheckConstraint(
                condition=models.Q(until_at__gt=models.F("from_at")), name="outage_ends_after_it_begins"
            ),
        ]
        indexes = [models.Index(fields=["until_at"], name="outage_until")]

    def __str__(self) -> str:
        return f"{self.component}: {self.from_at} – {self.until_at}"


class Incident(models.Model):
    """Something wrong that operations have to know of, from when it was seen until it is over."""

    class Kind(models.TextChoices):
        NIGHT = "night", _("a night is not in order")
        COMPONENT = "component", _("a component does not answer")
        DELIVERY = "delivery", _("messages do not leave")
        DEVIATION = "deviation", _("a night differs from what was expected")
        DRIFT = "drift", _("beat has another schedule than the job")
        SCHEDULE = "schedule", _("an organisation has no schedule that works")
        CLOCK = "clock", _("a clock was ahead")
        SWEEP = "sweep", _("the sweep fails at something")
        RECORDS = "records", _("records do not agree with their seals")
        WEB = "web", _("the web server does not answer")
        TEST = "test", _("a test of the alarm")

    kind = models.CharField(_("kind"), max_length=9, choices=Kind)
    key = models.CharField(
        _("key"), max_length=200, help_text=_("What is wrong; it is one incident as long as it lasts.")
    )
    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.CASCADE, null=True, related_name="incidents"
    )
    cron_job = models.ForeignKey(
        CronJob, verbose_name=_("schedule"), on_delete=models.SET_NULL, null=True, related_name="incidents"
    )
    title = RecordTextField(_("title"))
    details = RecordTextField(_("details"))
    began_at = models.DateTimeField(_("began at"), help_text=_("Since when it has been wrong, as far as is known."))
    seen_at = models.DateTimeField(_("seen at"), help_text=_("When it was first seen."))
    notified_at = models.DateTimeField(
        _("notified at"), null=True, help_text=_("When operations were last told that it is wrong.")
    )
    ended_at = models.DateTimeField(_("ended at"), null=True)
    cleared_at = models.DateTimeField(
        _("cleared at"), null=True, help_text=_("When operations were told that it is over.")
    )

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ("-seen_at", "-id")
        constraints = [
            # Two watchers that see it at the same moment open one incident, so the alarm is raised once.
            models.UniqueConstraint(
                fields=["key"], condition=models.Q(ended_at__isnull=True), name="incident_is_open_once"
            )
        ]
        indexes = [
            models.Index(fields=["-seen_at", "-id"], name="incident_newest_first"),
            models.Index(
                fields=["ended_at"],
                condition=models.Q(ended_at__isnull=False, cleared_at__isnull=True),
                name="incident_to_clear",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.title}"


class Alert(models.Model):
    """One attempt to tell operations of an incident by one route; the record that the alarm works, or did not."""

    class Event(models.TextChoices):
        RAISED = "raised", _("raised")
        STILL = "still", _("still wrong")
        CLEARED = "cleared", _("all clear")

    incident = models.ForeignKey(Incident, verbose_name=_("incident"), on_delete=models.CASCADE, related_name="alerts")
    event = models.CharField(_("event"), max_length=7, choices=Event)
    route = models.CharField(_("route"), max_length=100, help_text=_("By which way, without its address or password."))
    at = models.DateTimeField(_("time"))
    error = models.TextField(_("error"), blank=True, help_text=_("Why it did not get through; empty: it did."))

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ("-at", "-id")
        indexes = [models.Index(fields=["route", "-at"], condition=models.Q(error=""), name="alert_last_proof")]

    def __str__(self) -> str:
        return f"{self.event} {self.route}: {self.error or 'ok'}"
