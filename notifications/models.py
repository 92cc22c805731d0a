"""Messages: one row for each message to one recipient on one channel."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from mentors.models import LANGUAGES, Mentor, Organisation, User


class NotificationQuerySet(models.QuerySet["Notification"]):
    def due(self, *, now: datetime) -> NotificationQuerySet:
        """Those that may leave now."""
        return self.filter(status=Notification.Status.QUEUED, next_attempt_at__lte=now)

    def inbox_of(self, user: User) -> NotificationQuerySet:
        return self.filter(recipient_user=user, channel=Notification.Channel.INBOX)

    def unread(self) -> NotificationQuerySet:
        return self.filter(read_at__isnull=True)

    def mark_read(self, *, now: datetime) -> None:
        """Mark those that are unread; the others keep the time at which they were read first."""
        self.unread().update(read_at=now)


class Notification(models.Model):
    class Kind(models.TextChoices):
        REMIND = "remind", _("a certification expires soon")
        PAUSE = "pause", _("a mentor was paused")
        RESUME = "resume", _("a mentor was resumed")
        NIGHT = "night", _("what is due for a mentor")
        DIGEST = "digest", _("a night in one message")
        HELD = "held", _("a run waits for a person")
        NO_COORDINATOR = "no_coordinator", _("nobody looks after a mentor")
        LATE = "late", _("a run is late")
        FAILED = "failed", _("a run failed, in whole or in part")

    class Channel(models.TextChoices):
        EMAIL = "email", _("e-mail")
        INBOX = "inbox", _("inbox")
        OPERATIONS = "operations", _("operations")

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("sending")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    # The same message is never written twice, whoever tries again: every insert relies on it.
    dedupe_key = models.CharField(max_length=200)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, db_index=False)
    kind = models.CharField(max_length=14, choices=Kind)
    channel = models.CharField(max_length=10, choices=Channel)
    recipient_user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, db_index=False)
    recipient_mentor = models.ForeignKey(
        Mentor, on_delete=models.PROTECT, null=True, db_index=False, related_name="messages"
    )
    about = models.ForeignKey(Mentor, on_delete=models.PROTECT, null=True, related_name="notifications_about")
    run_id = models.UUIDField(null=True)
    language = models.CharField(max_length=2, choices=LANGUAGES)
    context = models.JSONField(default=dict)
    status = models.CharField(max_length=9, choices=Status, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    message_id = models.CharField(max_length=255, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["dedupe_key"], name="notification_is_written_once"),
            models.CheckConstraint(
                condition=models.Q(channel="operations", recipient_user__isnull=True, recipient_mentor__isnull=True)
                | (
                    ~models.Q(channel="operations")
                    & models.Q(models.Q(recipient_user__isnull=False) ^ models.Q(recipient_mentor__isnull=False))
                ),
                name="notification_has_one_recipient",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(status__in=["queued", "sending"]),
                name="notification_queue",
            ),
            models.Index(fields=["recipient_user", "-id"], name="notification_inbox"),
            # An app asks often how many there are.
            models.Index(
                fields=["recipient_user", "-id"],
                condition=models.Q(channel="inbox", read_at__isnull=True),
                name="notification_unread",
            ),
            models.Index(fields=["run_id"], condition=models.Q(run_id__isnull=False), name="notification_of_run"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.channel}: {self.status}"
