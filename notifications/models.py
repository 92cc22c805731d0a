"""Messages, one row for each message to one recipient on one channel, and what is known of those who get them."""

from __future__ import annotations

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from mentors.accounts.scope import Scope
from mentors.models import LANGUAGES, Mentor, Organisation, User
from mentors.record_text import RecordTextField
from mentors.validators import validate_one_line
from notifications.channel import Fault
from notifications.channels import EMAIL, INBOX, OPERATIONS, channel_choices, personal_channel_choices


class NotificationQuerySet(models.QuerySet["Notification"]):
    def due(self, *, now: datetime) -> NotificationQuerySet:
        """Those that may leave now."""
        return self.filter(status=Notification.Status.QUEUED, next_attempt_at__lte=now)

    def inbox_of(self, user: User, *, scope: Scope) -> NotificationQuerySet:
        """What the user was told, as far as the user's roles of today reach (rule 8)."""
        return self.filter(recipient_user=user, channel=INBOX).seen_by(scope)

    def seen_by(self, scope: Scope) -> NotificationQuerySet:
        """Those whose mentors, or whose organisation as a whole, the scope reaches."""
        if scope.everything:
            return self
        hint = models.Q(kind=Notification.Kind.HANDOVER)  # about the mentors of a chapter
        seen = models.Q(organisation__in=scope.led) | models.Q(about__chapter__in=scope.chapters)
        seen |= hint & models.Q(context__chapter_id__in=list(scope.chapters))
        return self.filter(seen | models.Q(about=None, organisation__in=scope.audited) & ~hint)

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
        HANDOVER = "handover", _("a paused mentor's work needs somebody else")
        ANSWER = "answer", _("a mentor has answered a reminder")
        BOUNCED = "bounced", _("messages to somebody come back")
        DIGEST = "digest", _("what there is to know, in one message")
        WEEKLY = "weekly", _("what there is to know, once a week")
        HELD = "held", _("a run waits for a person")
        NO_COORDINATOR = "no_coordinator", _("nobody looks after a mentor")
        LATE = "late", _("a run is late")
        FAILED = "failed", _("a run failed, in whole or in part")
        INVITED = "invited", _("an invitation to the desk")
        ACCOUNT = "account", _("something about one's own account")
        APP_GONE = "app_gone", _("an organisation's app takes no messages any more")

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("not delivered")  # the dead letters: `error` says why, and they can be sent again
        CANCELLED = "cancelled", _("cancelled")  # no longer true when it was about to leave: `error` says what
        # Given up after somebody may have taken it and never said so: nobody knows whether it was received.
        UNCERTAIN = "uncertain", _("perhaps received")

    # What is given up without having arrived, as far as is known; somebody can send it again.
    DEAD_LETTERS = (Status.FAILED, Status.UNCERTAIN)

    # The same message is never written twice, whoever tries again: every insert relies on it.
    dedupe_key = models.CharField(_("key"), max_length=200)
    # Of a message to an account's owner (Kind.ACCOUNT) none: it is for nobody else in any. The types say that every
    # other kind has one.
    organisation = models.ForeignKey[Organisation, Organisation](  # type: ignore[misc]
        Organisation, verbose_name=_("organisation"), on_delete=models.PROTECT, null=True, db_index=False
    )
    kind = models.CharField(_("kind"), max_length=14, choices=Kind)
    channel = models.CharField(_("channel"), max_length=10, choices=channel_choices)
    recipient_user = models.ForeignKey(
        User, verbose_name=_("coordinator"), on_delete=models.CASCADE, null=True, db_index=False
    )
    recipient_mentor = models.ForeignKey(
        Mentor,
        verbose_name=_("mentor as recipient"),
        on_delete=models.PROTECT,
        null=True,
        db_index=False,
        related_name="messages",
    )
    about = models.ForeignKey(
        Mentor, verbose_name=_("about"), on_delete=models.PROTECT, null=True, related_name="notifications_about"
    )
    run_id = models.UUIDField(_("run"), null=True)
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES)
    context = models.JSONField(_("context"), default=dict)
    # The run's items of which it said nothing, because they were no longer true when it left, or, to a mentor, because
    # it failed, and no coordinator was told either. If nobody was reminded then, cronjobs/release.py gives their keys
    # back.
    left_out = ArrayField(models.BigIntegerField(), verbose_name=_("left out"), default=list, blank=True, db_default=[])
    # Of a row in the inbox: the summary that told of it by another channel.
    digest = models.ForeignKey(
        "self", verbose_name=_("told in"), on_delete=models.SET_NULL, null=True, related_name="told", db_index=False
    )
    # Of a row in the inbox: a message of its own was written too, so that no summary holds it.
    told_by_itself = models.BooleanField(_("told by itself"), default=False, db_default=False)
    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    # Whose batch it is in while it is being sent: nobody else sends it, or writes down what became of it.
    claim = models.UUIDField(_("claim"), null=True)
    in_doubt = models.BooleanField(
        _("in doubt"), default=False, db_default=False, help_text=_("It was handed over, and no answer came.")
    )
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    read_at = models.DateTimeField(_("read at"), null=True)
    message_id = models.CharField(_("message id"), max_length=255, blank=True)
    error = RecordTextField(_("error"))
    # Of its last trouble, or of what closed its first way; and by which channels it was given up before.
    fault = models.CharField(_("whose fault"), max_length=9, choices=Fault, blank=True, default="", db_default="")
    given_up = ArrayField(
        models.CharField(max_length=10), verbose_name=_("given up by"), default=list, blank=True, db_default=[]
    )
    created_at = models.DateTimeField(_("created at"))

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["dedupe_key"], name="notification_is_written_once"),
            models.CheckConstraint(
                condition=models.Q(channel=OPERATIONS, recipient_user__isnull=True, recipient_mentor__isnull=True)
                | (
                    ~models.Q(channel=OPERATIONS)
                    & models.Q(models.Q(recipient_user__isnull=False) ^ models.Q(recipient_mentor__isnull=False))
                ),
                name="notification_has_one_recipient",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="account") ^ models.Q(organisation__isnull=False),
                name="notification_has_organisation",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(status__in=["queued", "sending"]),
                name="notification_queue",
            ),
            # Those that are tried again and again, whose next attempt lies ahead (notifications/backlog.py).
            models.Index(
                fields=["created_at"],
                condition=models.Q(status__in=["queued", "sending"], attempts__gte=2),
                name="notification_tried_again",
            ),
            # The dead letters: few, among years of those that were sent.
            models.Index(fields=["channel"], condition=models.Q(status="failed"), name="notification_dead_letters"),
            models.Index(fields=["recipient_user", "-id"], name="notification_inbox"),
            # An app asks often how many there are.
            models.Index(
                fields=["recipient_user", "-id"],
                condition=models.Q(channel=INBOX, read_at__isnull=True),
                name="notification_unread",
            ),
            models.Index(fields=["run_id"], condition=models.Q(run_id__isnull=False), name="notification_of_run"),
            # Which rows of an inbox wait for the next summary, and which one holds.
            models.Index(
                fields=["organisation", "created_at"],
                condition=models.Q(channel=INBOX, digest__isnull=True),
                name="notification_untold",
            ),
            # What had any trouble (notifications/backlog.py): little, among years of what was sent at once.
            models.Index(fields=["created_at"], condition=~models.Q(fault=""), name="notification_in_trouble"),
            # What was not said after all: few, among years of what was.
            models.Index(fields=["run_id"], condition=~models.Q(left_out=[]), name="notification_left_out"),
            models.Index(fields=["digest"], condition=models.Q(digest__isnull=False), name="notification_told_in"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.channel}: {self.status}"

    @property
    def happening(self) -> str:
        """The key of what it tells: the same for everybody who is told it, by whatever channel."""
        return self.dedupe_key.rsplit(":", 2)[0]


class Preference(models.Model):
    """How somebody wants to be told; who has none gets e-mail, and a coordinator what the organisation chose."""

    class Mail(models.TextChoices):
        EACH = "each", _("each thing by itself")
        DIGEST = "digest", _("one summary a run")
        WEEKLY = "weekly", _("one summary a week")
        NEVER = "never", _("no summaries, only what needs me")

    mentor = models.OneToOneField(
        Mentor, verbose_name=_("mentor"), on_delete=models.CASCADE, null=True, blank=True, related_name="preference"
    )
    user = models.OneToOneField(
        User, verbose_name=_("user"), on_delete=models.CASCADE, null=True, blank=True, related_name="preference"
    )
    channel = models.CharField(_("channel"), max_length=10, choices=personal_channel_choices, default=EMAIL)
    address = models.CharField(
        _("address"),
        max_length=200,
        blank=True,
        validators=[validate_one_line],
        help_text=_("On that channel; empty: the e-mail address or phone on record."),
    )
    mail = models.CharField(
        _("e-mail"),
        max_length=6,
        choices=Mail,
        blank=True,
        help_text=_("Of coordinators; empty: as the organisation chose."),
    )
    language = models.CharField(
        _("language"),
        max_length=2,
        choices=LANGUAGES,
        blank=True,
        help_text=_("Of coordinators; empty: the organisation's."),
    )

    class Meta:
        verbose_name = _("way of being told")
        verbose_name_plural = _("ways of being told")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(mentor__isnull=False) ^ models.Q(user__isnull=False),
                name="preference_is_of_one_person",
            ),
            models.CheckConstraint(
                condition=models.Q(mentor__isnull=True) | models.Q(mail="", language=""),
                name="preference_of_mentor_has_no_mail",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mentor or self.user}: {self.channel}"


class BadAddress(models.Model):
    """An address from which messages come back; nothing is sent there until somebody removes the row."""

    channel = models.CharField(_("channel"), max_length=10, choices=personal_channel_choices)
    address = models.CharField(_("address"), max_length=254, validators=[validate_one_line])
    reason = models.TextField(_("reason"))
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("bad address")
        verbose_name_plural = _("bad addresses")
        # The first report marks it and tells the coordinators; later ones find it marked.
        constraints = [models.UniqueConstraint(fields=["channel", "address"], name="bad_address_is_marked_once")]

    def __str__(self) -> str:
        return self.address


class Webhook(models.Model):
    """Where an organisation's own app takes messages, signed by the Standard Webhooks specification.

    The secret is made from the installation's SECRET_KEY and the version, and stands nowhere; a new version is a new
    secret.
    """

    organisation = models.OneToOneField(
        Organisation, verbose_name=_("organisation"), on_delete=models.CASCADE, related_name="webhook"
    )
    url = models.CharField(_("address"), max_length=500, validators=[URLValidator(schemes=["https", "http"])])
    secret_version = models.PositiveIntegerField(_("version of the secret"), default=1)
    gone_at = models.DateTimeField(
        _("gone since"), null=True, blank=True, help_text=_("Since when it answers that it is gone (410).")
    )

    class Meta:
        verbose_name = _("app")
        verbose_name_plural = _("apps")

    def __str__(self) -> str:
        return f"{self.organisation}: {self.url}"

    @classmethod
    def of(cls, organisation: Organisation) -> Webhook | None:
        """Return the organisation's app, unless it has none or it said that it is gone."""
        webhook: Webhook | None = getattr(organisation, "webhook", None)
        return webhook if webhook and webhook.gone_at is None else None


class Answer(models.Model):
    """What a mentor answered by one of the links in a reminder."""

    class Choice(models.TextChoices):
        RENEWING = "renewing", _("I am renewing")
        STOPPING = "stopping", _("I am stopping")
        HELP = "help", _("I need help")

    notification = models.ForeignKey(
        Notification, verbose_name=_("message"), on_delete=models.PROTECT, related_name="answers", db_index=False
    )
    mentor = models.ForeignKey(Mentor, verbose_name=_("mentor"), on_delete=models.PROTECT, related_name="answers")
    choice = models.CharField(_("answer"), max_length=8, choices=Choice)
    at = models.DateTimeField(_("time"))

    class Meta:
        # A second tap on the same link is the same answer.
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        constraints = [models.UniqueConstraint(fields=["notification", "choice"], name="answer_is_given_once")]

    def __str__(self) -> str:
        return f"{self.mentor_id}: {self.choice}"


class HostBudget(models.Model):
    """From when the next message may go to a host whose rate is limited (notifications/rates.py)."""

    host = models.CharField(_("host"), max_length=255, primary_key=True)
    free_at = models.DateTimeField(_("free from"))

    class Meta:
        verbose_name = _("mail host")
        verbose_name_plural = _("mail hosts")

    def __str__(self) -> str:
        return self.host
