"""Organisations with the settings that steer their nights, their chapters, who logs in, and in which role."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from mentors.validators import HAS_CONTROL_CHARACTERS, validate_not_reserved, validate_one_line, validate_origin

LANGUAGES = [("nb", "Norsk bokmål"), ("nn", "Norsk nynorsk"), ("en", "English")]
# More than anybody means; each is reckoned with at night, where a number out of range would stop more than one's own.
MOST_BRAKE_MINIMUM = 1_000_000
MOST_CATCH_UP_HOURS = 30 * 24


def is_timezone(name: str) -> bool:
    """Whether the IANA time zone database has it; one that it had when it was chosen may be gone later."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def validate_timezone(name: str) -> None:
    """Refuse a name that the IANA time zone database does not have."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("There is no time zone “%(name)s”; write one like Europe/Oslo."), params={"name": name})


def make_access_key() -> str:
    return get_random_string(32)


def default_reminder_days() -> list[int]:
    return [30, 14, 7]


class User(AbstractUser):
    """Who logs in: coordinators and operations. Mentors do not.

    Roles say what a user may do (mentors/accounts/scope.py). Django's permissions are not used, and not looked up.
    """

    first_name = models.CharField(_("first name"), max_length=150, blank=True, validators=[validate_one_line])
    last_name = models.CharField(_("last name"), max_length=150, blank=True, validators=[validate_one_line])
    # In every session and link of the account, as the password's hash is: a new key ends them all at once.
    access_key = models.CharField(max_length=32, default=make_access_key, db_default="", editable=False)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save it, in one transaction with what follows: what is recorded of it, and the end of all access."""
        with transaction.atomic():
            super().save(*args, **kwargs)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return the fingerprint that Django keeps in a session, and compares at every request.

        Sessions stand in the database, as what it is made of does, so it needs no secret: when that is changed, Django
        would give each session another key, and a page of two requests at once would be logged out.
        """
        return sha256(f"{self.password}{self.access_key}".encode()).hexdigest()

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_superuser

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_superuser


class Organisation(models.Model):
    """An association that looks after peer mentors, with the settings that steer its nights."""

    class CoordinatorMail(models.TextChoices):
        DIGEST = "digest", _("one e-mail a run")
        EACH = "each", _("one e-mail for each mentor")

    slug = models.SlugField(_("slug"), unique=True, validators=[validate_not_reserved])
    name = models.CharField(_("name"), max_length=200, validators=[validate_one_line])
    timezone = models.CharField(_("timezone"), max_length=64, default="Europe/Oslo", validators=[validate_timezone])
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES, default="nb")
    auto_pause = models.BooleanField(_("pauses by itself"), default=True)
    auto_resume = models.BooleanField(_("resumes by itself"), default=True)
    reminder_days = ArrayField(
        models.PositiveSmallIntegerField(validators=[MaxValueValidator(366)]),
        verbose_name=_("reminds so many days before"),
        default=default_reminder_days,
        blank=True,
    )
    valid_through_expiry_day = models.BooleanField(
        _("valid through the expiry day"),
        default=True,
        help_text=_("Is a certification still valid on the day it expires?"),
    )
    sending_from = models.TimeField(
        _("sending from"), default=time(8), help_text=_("Messages leave from this local time.")
    )
    sending_until = models.TimeField(
        _("sending until"), default=time(20), help_text=_("Equal to the start: at all hours.")
    )
    coordinator_mail = models.CharField(
        _("coordinators' e-mail"), max_length=6, choices=CoordinatorMail, default=CoordinatorMail.DIGEST
    )
    brake_percent = models.PositiveSmallIntegerField(
        _("brake, in percent of the mentors"),
        default=30,
        validators=[MaxValueValidator(100)],
        help_text=_("A night may pause this share of the mentors …"),
    )
    brake_minimum = models.PositiveIntegerField(
        _("brake, at least"),
        default=20,
        validators=[MaxValueValidator(MOST_BRAKE_MINIMUM)],
        help_text=_("… or this many, whichever is more."),
    )
    embed_on = ArrayField(
        models.CharField(max_length=200, validators=[validate_origin]),
        verbose_name=_("may be shown on"),
        default=list,
        blank=True,
        db_default=[],
        help_text=_("Web sites that may show the public pages in a frame, as https://www.example.org."),
    )
    catch_up_hours = models.PositiveSmallIntegerField(
        _("made up within hours"),
        default=24,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_CATCH_UP_HOURS)],
        help_text=_("How late a missed night may still run."),
    )

    class Meta:
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")
        ordering = ("slug",)
        constraints = [
            # What is written past the forms must stop neither the night nor the watch, which reckon with it.
            models.CheckConstraint(condition=models.Q(brake_percent__lte=100), name="organisation_brake_is_a_share"),
            models.CheckConstraint(
                condition=models.Q(brake_minimum__lte=MOST_BRAKE_MINIMUM), name="organisation_brake_is_bounded"
            ),
            models.CheckConstraint(
                condition=models.Q(catch_up_hours__range=(1, MOST_CATCH_UP_HOURS)),
                name="organisation_catch_up_is_bounded",
            ),
            # It stands in the From of every message, where a second line stops all of them.
            models.CheckConstraint(
                condition=~models.Q(name__regex=HAS_CONTROL_CHARACTERS), name="organisation_name_is_one_line"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def local_date(self, now: datetime) -> date:
        """Return the business date that `now` falls on in this organisation."""
        return now.astimezone(zoneinfo.ZoneInfo(self.timezone)).date()

    def local_time(self, now: datetime) -> datetime:
        """Return `now` by the organisation's clock; by UTC if tzdata no longer knows its time zone.

        Messages leave all the same, and the watch tells of it; a night without its time zone does not begin.
        """
        return now.astimezone(zoneinfo.ZoneInfo(self.timezone) if is_timezone(self.timezone) else UTC)

    def next_sending_time(self, now: datetime) -> datetime:
        """Return `now` within the sending hours, else the next time they open (rule 12)."""
        local = self.local_time(now)
        clock = local.time()
        if self.sending_from == self.sending_until:
            return now
        if self.sending_from < self.sending_until:
            is_open = self.sending_from <= clock < self.sending_until
        else:
            is_open = clock >= self.sending_from or clock < self.sending_until
        if is_open:
            return now
        opens_on = local.date() if clock < self.sending_from else local.date() + timedelta(days=1)
        return datetime.combine(opens_on, self.sending_from, tzinfo=local.tzinfo)

    def brake_limit(self, active_mentors: int) -> int:
        """Return how many mentors one run may pause before a person is asked (docs/rules.md, brake)."""
        return max(self.brake_minimum, active_mentors * self.brake_percent // 100)


class ChapterQuerySet(models.QuerySet["Chapter"]):
    def at(self, *, organisation: str, chapter: str) -> ChapterQuerySet:
        """Return the chapter, with its organisation, whose public address is /{organisation}/{chapter}/."""
        return self.select_related("organisation").filter(organisation__slug=organisation, slug=chapter)


class Chapter(models.Model):
    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.PROTECT, related_name="chapters"
    )
    name = models.CharField(_("name"), max_length=200, validators=[validate_one_line])
    slug = models.SlugField(_("slug"), max_length=200)

    objects = ChapterQuerySet.as_manager()

    class Meta:
        verbose_name = _("chapter")
        verbose_name_plural = _("chapters")
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(name__regex=HAS_CONTROL_CHARACTERS), name="chapter_name_is_one_line"
            ),
            models.UniqueConstraint(fields=["organisation", "slug"], name="chapter_slug_is_unique"),
            # The roster knows a chapter by its name.
            models.UniqueConstraint(fields=["organisation", "name"], name="chapter_name_is_unique"),
            # What the foreign key (chapter, organisation) of a mentor points at.
            models.UniqueConstraint(fields=["id", "organisation"], name="chapter_with_organisation"),
        ]

    def __str__(self) -> str:
        return self.name


class CoordinatorRole(models.Model):
    """A user's duty: one chapter, or the whole organisation where `chapter` is empty."""

    class Duty(models.TextChoices):
        COORDINATOR = "coordinator", _("looks after mentors")
        AUDITOR = "auditor", _("reads the organisation's runs")

    duty = models.CharField(_("duty"), max_length=11, choices=Duty, default=Duty.COORDINATOR)
    user = models.ForeignKey(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="roles")
    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.CASCADE, related_name="roles"
    )
    chapter = models.ForeignKey(
        Chapter, verbose_name=_("chapter"), on_delete=models.CASCADE, related_name="roles", null=True, blank=True
    )

    class Meta:
        verbose_name = _("role")
        verbose_name_plural = _("roles")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "duty", "organisation", "chapter"], nulls_distinct=False, name="role_is_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(duty="coordinator") | models.Q(chapter__isnull=True),
                name="auditor_reads_the_whole_organisation",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_duty_display()}, {self.chapter or self.organisation}"

    def clean(self) -> None:
        if self.chapter_id and self.organisation_id and self.chapter.organisation_id != self.organisation_id:  # type: ignore[union-attr]
            raise ValidationError({"chapter": _("The chapter belongs to another organisation.")})


class Invitation(models.Model):
    """A role that is offered to somebody, and is none until they accept: an address may be mistyped.

    Who is invited sees nothing, and is told of nothing else.
    """

    user = models.ForeignKey(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="invitations")
    duty = models.CharField(_("duty"), max_length=11, choices=CoordinatorRole.Duty)
    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.CASCADE, related_name="invitations"
    )
    chapter = models.ForeignKey(
        Chapter, verbose_name=_("chapter"), on_delete=models.CASCADE, related_name="invitations", null=True, blank=True
    )
    # The link is bound to it: one that is sent again voids those of before.
    sent_at = models.DateTimeField(_("sent at"))

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ("-sent_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["user", "duty", "organisation", "chapter"], nulls_distinct=False, name="invitation_is_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(duty="coordinator") | models.Q(chapter__isnull=True),
                name="auditor_is_invited_to_the_whole_organisation",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_duty_display()}, {self.chapter or self.organisation}"
