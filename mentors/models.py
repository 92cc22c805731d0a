"""Organisations, chapters, coordinators, mentors, and every change of a mentor's status."""

from __future__ import annotations

import re
import zoneinfo
from datetime import date, datetime, time, timedelta
from typing import Any

import pghistory
import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchQuery, SearchVector, SearchVectorExact
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from mentors.validators import validate_not_reserved, validate_one_line, validate_origin

LANGUAGES = [("nb", "Norsk bokmål"), ("nn", "Norsk nynorsk"), ("en", "English")]
validate_phone = RegexValidator(r"^\+[1-9][0-9]{6,14}\Z", _("Write the number as +4712345678 (E.164)."))


def validate_timezone(name: str) -> None:
    """Refuse a name that the IANA time zone database does not have."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("There is no time zone “%(name)s”; write one like Europe/Oslo."), params={"name": name})


def default_reminder_days() -> list[int]:
    return [30, 14, 7]


class User(AbstractUser):
    """Who logs in: coordinators and operations. Mentors do not."""


class Organisation(models.Model):
    """An association that looks after peer mentors, with the settings that steer its nights."""

    class CoordinatorMail(models.TextChoices):
        DIGEST = "digest", _("one e-mail a run")
        EACH = "each", _("one e-mail for each mentor")

    slug = models.SlugField(unique=True, validators=[validate_not_reserved])
    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="Europe/Oslo", validators=[validate_timezone])
    language = models.CharField(max_length=2, choices=LANGUAGES, default="nb")
    auto_pause = models.BooleanField(default=True)
    auto_resume = models.BooleanField(default=True)
    reminder_days = ArrayField(
        models.PositiveSmallIntegerField(validators=[MaxValueValidator(366)]), default=default_reminder_days, blank=True
    )
    valid_through_expiry_day = models.BooleanField(
        default=True, help_text=_("Is a certification still valid on the day it expires?")
    )
    sending_from = models.TimeField(default=time(8), help_text=_("Messages leave from this local time."))
    sending_until = models.TimeField(default=time(20), help_text=_("Equal to the start: at all hours."))
    coordinator_mail = models.CharField(max_length=6, choices=CoordinatorMail, default=CoordinatorMail.DIGEST)
    brake_percent = models.PositiveSmallIntegerField(
        default=30, validators=[MaxValueValidator(100)], help_text=_("A night may pause this share of the mentors …")
    )
    brake_minimum = models.PositiveIntegerField(default=20, help_text=_("… or this many, whichever is more."))
    embed_on = ArrayField(
        models.CharField(max_length=200, validators=[validate_origin]),
        default=list,
        blank=True,
        db_default=[],
        help_text=_("Web sites that may show the public pages in a frame, as https://www.example.org."),
    )
    catch_up_hours = models.PositiveSmallIntegerField(
        default=24, validators=[MinValueValidator(1)], help_text=_("How late a missed night may still run.")
    )

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name

    def local_date(self, now: datetime) -> date:
        """Return the business date that `now` falls on in this organisation."""
        return now.astimezone(zoneinfo.ZoneInfo(self.timezone)).date()

    def next_sending_time(self, now: datetime) -> datetime:
        """Return `now` within the sending hours, else the next time they open (rule 12)."""
        local = now.astimezone(zoneinfo.ZoneInfo(self.timezone))
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
        """Return how many mentors one run may pause before a person is asked (design, section 5)."""
        return max(self.brake_minimum, active_mentors * self.brake_percent // 100)


class ChapterQuerySet(models.QuerySet["Chapter"]):
    def at(self, *, organisation: str, chapter: str) -> ChapterQuerySet:
        """Return the chapter, with its organisation, whose public address is /{organisation}/{chapter}/."""
        return self.select_related("organisation").filter(organisation__slug=organisation, slug=chapter)


class Chapter(models.Model):
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="chapters")
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=200)

    objects = ChapterQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
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

    duty = models.CharField(max_length=11, choices=Duty, default=Duty.COORDINATOR)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="roles")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="roles")
    chapter = models.ForeignKey(Chapter, on_delete=models.CASCADE, related_name="roles", null=True, blank=True)

    class Meta:
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


FEW = 1000


def ids_if_few(queryset: models.QuerySet[Any]) -> list[int] | None:
    """Return the ids of the rows, or None if there are more than a few."""
    ids = list(queryset.order_by().values_list("pk", flat=True)[: FEW + 1])
    return ids if len(ids) <= FEW else None


NAME_WORDS = SearchVector("name", config="simple")


class MentorQuerySet(models.QuerySet["Mentor"]):
    def of(self, organisation: Organisation) -> MentorQuerySet:
        return self.filter(organisation=organisation)

    def search(self, text: str) -> MentorQuerySet:
        """Find mentors by the beginnings of all words of their name, in any order, or of their ref.

        If they are few, they are read at once: PostgreSQL cannot tell how many there are, and would rather walk
        everybody in the order that is asked for until it has a page of them.
        """
        named = models.Q(ref__istartswith=text.strip())
        if words := re.findall(r"\w+", text):
            query = SearchQuery(" & ".join(f"{word}:*" for word in words), config="simple", search_type="raw")
            named |= models.Q(SearchVectorExact(NAME_WORDS, query))
        few = ids_if_few(Mentor.objects.filter(named))
        return self.filter(named) if few is None else self.filter(pk__in=few)

    def active(self) -> MentorQuerySet:
        return self.filter(status=Mentor.Status.ACTIVE)

    def paused_because_expired(self) -> MentorQuerySet:
        return self.filter(status=Mentor.Status.PAUSED, pause_cause=Mentor.PauseCause.CERTIFICATION_EXPIRED)

    def locked(self) -> MentorQuerySet:
        """Lock the rows in id order, so that no two transactions wait for each other in a ring.

        Everything that changes a mentor's status or certifications locks the mentor first.
        """
        return self.select_for_update(of=("self",), no_key=True).order_by("pk")


@pghistory.track(
    pghistory.InsertEvent(),
    # By row: a statement trigger would join old rows to new ones by a plan made for the first, perhaps tiny, statement.
    pghistory.UpdateEvent(level=pghistory.Row),
    pghistory.DeleteEvent(),
    exclude=["lapses_on", "updated_at"],
    # Who changed a status stands in StatusChange. Asking for the context costs each row a failed subtransaction, and
    # that costs more the more deferred checks wait in the transaction: 7.9 of 10 s for 6,000 pauses in one statement.
    context_field=None,  # type: ignore[arg-type]  # documented, and missing in the annotation
    level=pghistory.Statement,
)
class Mentor(models.Model):
    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        PAUSED = "paused", _("paused")
        ENDED = "ended", _("ended")

    class PauseCause(models.TextChoices):
        MANUAL = "manual", _("paused by a person")
        CERTIFICATION_EXPIRED = "certification_expired", _("a certification has expired")
        CERTIFICATION_REVOKED = "certification_revoked", _("a certification was revoked")

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="mentors", db_index=False)
    chapter = models.ForeignKey(Chapter, on_delete=models.PROTECT, related_name="mentors", db_index=False)
    ref = models.CharField(
        max_length=50, validators=[validate_one_line], help_text=_("The organisation's own key for the mentor.")
    )
    name = models.CharField(max_length=200, validators=[validate_one_line])
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=16, blank=True, validators=[validate_phone])
    language = models.CharField(max_length=2, choices=LANGUAGES, default="nb")
    status = models.CharField(max_length=6, choices=Status, default=Status.ACTIVE)
    pause_cause = models.CharField(max_length=21, choices=PauseCause, null=True, blank=True)
    pause_reason = models.TextField(blank=True)
    listed = models.BooleanField(default=True, help_text=_("Consents to stand on the public page."))
    searchable = models.BooleanField(
        default=False, db_default=False, help_text=_("Consents to be found there by search engines.")
    )
    # Rule 1 for the whole mentor: the first day on which, going by the latest certification of each required type,
    # one of them is not covered; empty means never. Kept by database triggers (certifications, migration 0002), it
    # only says whom the night must look at: the certifications themselves decide.
    lapses_on = models.DateField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MentorQuerySet.as_manager()

    class Meta:
        ordering = ("name", "id")
        constraints = [
            models.UniqueConstraint(fields=["organisation", "ref"], name="mentor_ref_is_unique"),
            models.CheckConstraint(
                condition=models.Q(status="paused", pause_cause__isnull=False)
                | (~models.Q(status="paused") & models.Q(pause_cause__isnull=True)),
                name="mentor_has_a_cause_exactly_when_paused",
            ),
        ]
        indexes = [
            # Whom the night looks at: who may have to pause, and who may have renewed.
            models.Index(
                fields=["organisation", "lapses_on"],
                condition=models.Q(status="active"),
                name="mentor_active_lapses_on",
            ),
            models.Index(
                fields=["organisation", "lapses_on"],
                condition=models.Q(status="paused", pause_cause="certification_expired"),
                name="mentor_expired_lapses_on",
            ),
            # The lists of the API: of a chapter (also for the public page and the foreign key), of an organisation, of
            # everything. The last one is small, and counts what the filters leave.
            models.Index(fields=["chapter", "name", "id"], name="mentor_of_chapter"),
            models.Index(fields=["organisation", "name", "id"], name="mentor_of_organisation"),
            models.Index(fields=["name", "id"], name="mentor_by_name"),
            models.Index(fields=["ref", "id"], name="mentor_by_ref"),
            models.Index(fields=["status", "pause_cause", "listed", "organisation"], name="mentor_by_status"),
            GinIndex(NAME_WORDS, name="mentor_search_name"),
            models.Index(OpClass(Upper("ref"), name="text_pattern_ops"), name="mentor_search_ref"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.ref})"

    def clean(self) -> None:
        if self.chapter_id and self.organisation_id and self.chapter.organisation_id != self.organisation_id:
            raise ValidationError({"chapter": _("The chapter belongs to another organisation.")})


class StatusChange(models.Model):
    """One line for every change of a mentor's status, never changed and never removed."""

    mentor = models.ForeignKey(Mentor, on_delete=models.PROTECT, related_name="status_changes", db_index=False)
    from_status = models.CharField(max_length=6, choices=Mentor.Status)
    to_status = models.CharField(max_length=6, choices=Mentor.Status)
    cause = models.CharField(max_length=21, choices=Mentor.PauseCause, null=True)
    reason = models.TextField(blank=True)
    actor = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, db_index=False, help_text=_("Empty: the system.")
    )
    run_id = models.UUIDField(null=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["mentor", "-id"], name="status_change_newest_first"),
            models.Index(fields=["run_id"], condition=models.Q(run_id__isnull=False), name="status_change_of_run"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.mentor_id}: {self.from_status} → {self.to_status}"
