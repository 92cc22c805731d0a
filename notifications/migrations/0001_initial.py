"""How people are told: messages and answers, what each prefers, and what is known of addresses, apps and hosts."""

from __future__ import annotations

from django.core.validators import URLValidator
from django.db import migrations, models
from django.db.models import CASCADE, PROTECT, SET_NULL, CheckConstraint, ForeignKey, Index, Q, UniqueConstraint

from notifications.channels import channel_choices, personal_channel_choices

ID = models.BigAutoField("ID", auto_created=True, primary_key=True, serialize=False)
ORGANISATION, MENTOR, USER = "mentors.organisation", "mentors.mentor", "mentors.user"
LANGUAGES = [("nb", "Norsk bokmål"), ("nn", "Norsk nynorsk"), ("en", "English")]
KINDS = [
    ("remind", "a certification expires soon"),
    ("pause", "a mentor was paused"),
    ("resume", "a mentor was resumed"),
    ("night", "what is due for a mentor"),
    ("handover", "a paused mentor's work needs somebody else"),
    ("answer", "a mentor has answered a reminder"),
    ("bounced", "messages to somebody come back"),
    ("digest", "what there is to know, in one message"),
    ("weekly", "what there is to know, once a week"),
    ("held", "a run waits for a person"),
    ("no_coordinator", "nobody looks after a mentor"),
    ("late", "a run is late"),
    ("failed", "a run failed, in whole or in part"),
    ("invited", "an invitation to the desk"),
    ("app_gone", "an organisation's app takes no messages any more"),
]
STATUSES = [
    ("queued", "queued"),
    ("sending", "being sent"),
    ("sent", "sent"),
    ("failed", "not delivered"),
    ("cancelled", "cancelled"),
]
MAIL = [
    ("each", "each thing by itself"),
    ("digest", "one summary a run"),
    ("weekly", "one summary a week"),
    ("never", "no summaries, only what needs me"),
]
ANSWERS = [("renewing", "I am renewing"), ("stopping", "I am stopping"), ("help", "I need help")]

NOTIFICATION = migrations.CreateModel(
    name="Notification",
    fields={
        "id": ID,
        "dedupe_key": models.CharField("key", max_length=200),
        "kind": models.CharField("kind", max_length=14, choices=KINDS),
        "channel": models.CharField("channel", max_length=10, choices=channel_choices),
        "run_id": models.UUIDField("run", null=True),
        "language": models.CharField("language", max_length=2, choices=LANGUAGES),
        "context": models.JSONField("context", default=dict),
        "status": models.CharField("status", max_length=9, choices=STATUSES, default="queued"),
        "attempts": models.PositiveSmallIntegerField("attempts", default=0),
        "next_attempt_at": models.DateTimeField("next attempt at", null=True),
        "sent_at": models.DateTimeField("sent at", null=True),
        "read_at": models.DateTimeField("read at", null=True),
        "message_id": models.CharField("message id", max_length=255, blank=True),
        "error": models.TextField("error", blank=True),
        "created_at": models.DateTimeField("created at"),
        "about": ForeignKey(MENTOR, PROTECT, verbose_name="about", null=True, related_name="notifications_about"),
        "organisation": ForeignKey(ORGANISATION, PROTECT, verbose_name="organisation", db_index=False),
        "recipient_mentor": ForeignKey(
            MENTOR, PROTECT, verbose_name="mentor as recipient", null=True, related_name="messages", db_index=False
        ),
        "recipient_user": ForeignKey(USER, CASCADE, verbose_name="coordinator", null=True, db_index=False),
        "digest": ForeignKey(
            "notifications.notification",
            SET_NULL,
            verbose_name="told in",
            null=True,
            related_name="told",
            db_index=False,
        ),
    }.items(),
    options={
        "verbose_name": "message",
        "verbose_name_plural": "messages",
        "ordering": ("-id",),
        "constraints": [
            UniqueConstraint(fields=["dedupe_key"], name="notification_is_written_once"),
            CheckConstraint(
                condition=Q(channel="operations", recipient_user__isnull=True, recipient_mentor__isnull=True)
                | (~Q(channel="operations") & Q(Q(recipient_user__isnull=False) ^ Q(recipient_mentor__isnull=False))),
                name="notification_has_one_recipient",
            ),
        ],
        "indexes": [
            Index(fields=["next_attempt_at"], condition=Q(status__in=["queued", "sending"]), name="notification_queue"),
            Index(
                fields=["created_at"],
                condition=Q(status__in=["queued", "sending"], attempts__gte=2),
                name="notification_tried_again",
            ),
            Index(fields=["channel"], condition=Q(status="failed"), name="notification_dead_letters"),
            Index(fields=["recipient_user", "-id"], name="notification_inbox"),
            Index(
                fields=["recipient_user", "-id"],
                condition=Q(channel="inbox", read_at__isnull=True),
                name="notification_unread",
            ),
            Index(fields=["run_id"], condition=Q(run_id__isnull=False), name="notification_of_run"),
            Index(
                fields=["organisation", "created_at"],
                condition=Q(channel="inbox", digest__isnull=True),
                name="notification_untold",
            ),
            Index(fields=["digest"], condition=Q(digest__isnull=False), name="notification_told_in"),
        ],
    },
)

ANSWER = migrations.CreateModel(
    name="Answer",
    fields={
        "id": ID,
        "choice": models.CharField("answer", max_length=8, choices=ANSWERS),
        "at": models.DateTimeField("time"),
        "mentor": ForeignKey(MENTOR, PROTECT, verbose_name="mentor", related_name="answers"),
        "notification": ForeignKey(
            "notifications.notification", PROTECT, verbose_name="message", related_name="answers", db_index=False
        ),
    }.items(),
    options={
        "verbose_name": "answer",
        "verbose_name_plural": "answers",
        "constraints": [UniqueConstraint(fields=["notification", "choice"], name="answer_is_given_once")],
    },
)

PREFERENCE = migrations.CreateModel(
    name="Preference",
    fields={
        "id": ID,
        "channel": models.CharField("channel", max_length=10, choices=personal_channel_choices, default="email"),
        "address": models.CharField(
            "address",
            max_length=200,
            blank=True,
            help_text="On that channel; empty: the e-mail address or phone on record.",
        ),
        "mail": models.CharField(
            "e-mail",
            max_length=6,
            choices=MAIL,
            blank=True,
            help_text="Of coordinators; empty: as the organisation chose.",
        ),
        "language": models.CharField(
            "language",
            max_length=2,
            choices=LANGUAGES,
            blank=True,
            help_text="Of coordinators; empty: the organisation's.",
        ),
        "mentor": models.OneToOneField(
            MENTOR, CASCADE, verbose_name="mentor", null=True, blank=True, related_name="preference"
        ),
        "user": models.OneToOneField(
            USER, CASCADE, verbose_name="user", null=True, blank=True, related_name="preference"
        ),
    }.items(),
    options={
        "verbose_name": "way of being told",
        "verbose_name_plural": "ways of being told",
        "constraints": [
            CheckConstraint(
                condition=Q(mentor__isnull=False) ^ Q(user__isnull=False), name="preference_is_of_one_person"
            ),
            CheckConstraint(
                condition=Q(mentor__isnull=True) | Q(mail="", language=""), name="preference_of_mentor_has_no_mail"
            ),
        ],
    },
)

BAD_ADDRESS = migrations.CreateModel(
    name="BadAddress",
    fields={
        "id": ID,
        "channel": models.CharField("channel", max_length=10, choices=personal_channel_choices),
        "address": models.CharField("address", max_length=254),
        "reason": models.TextField("reason"),
        "at": models.DateTimeField("time"),
    }.items(),
    options={
        "verbose_name": "bad address",
        "verbose_name_plural": "bad addresses",
        "constraints": [UniqueConstraint(fields=["channel", "address"], name="bad_address_is_marked_once")],
    },
)

WEBHOOK = migrations.CreateModel(
    name="Webhook",
    fields={
        "id": ID,
        "url": models.CharField("address", max_length=500, validators=[URLValidator(schemes=["https", "http"])]),
        "secret_version": models.PositiveIntegerField("version of the secret", default=1),
        "gone_at": models.DateTimeField(
            "gone since", null=True, blank=True, help_text="Since when it answers that it is gone (410)."
        ),
        "organisation": models.OneToOneField(
            ORGANISATION, CASCADE, verbose_name="organisation", related_name="webhook"
        ),
    }.items(),
    options={"verbose_name": "app", "verbose_name_plural": "apps"},
)

HOST_BUDGET = migrations.CreateModel(
    name="HostBudget",
    fields={
        "host": models.CharField("host", max_length=255, primary_key=True, serialize=False),
        "free_at": models.DateTimeField("free from"),
    }.items(),
    options={"verbose_name": "mail host", "verbose_name_plural": "mail hosts"},
)


class Migration(migrations.Migration):
    initial = True
    dependencies = [("mentors", "0001_initial")]
    operations = [NOTIFICATION, ANSWER, PREFERENCE, BAD_ADDRESS, WEBHOOK, HOST_BUDGET]
