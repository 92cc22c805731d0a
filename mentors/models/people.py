"""Mentors, the search for them, and every change of a mentor's status."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchQuery, SearchVector, SearchVectorExact
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from mentors.clock import latest_believed
from mentors.models.organisations import LANGUAGES, Chapter, Organisation, User
from mentors.record_text import RecordTextField
from mentors.validators import validate_one_line

validate_phone = RegexValidator(r"^\+[1-9][0-9]{6,14}\Z", _("Write the number as +4712345678 (E.164)."))
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

    def not_changed_by_a_later_day(self, *, than: date, now: datetime) -> MentorQuerySet:
        """Leave out whose status the rules of a later day have changed last: the earlier day comes too late for them.

        It comes back when the organisation moves to a time zone further west, and when a run has a past day. A change
        by a clock that was ahead is not believed (rule 13).
        """
        newer = StatusChange.objects.filter(mentor=models.OuterRef("mentor"), pk__gt=models.OuterRef("pk"))
        later = StatusChange.objects.filter(business_date__gt=than, at__lte=latest_believed(now=now))
        newest = later.filter(~models.Exists(newer), mentor=models.OuterRef("pk"))
        return self.exclude(models.Exists(newest))

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

    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.PROTECT, related_name="mentors", db_index=False
    )
    chapter = models.ForeignKey(
        Chapter, verbose_name=_("chapter"), on_delete=models.PROTECT, related_name="mentors", db_index=False
    )
    ref = models.CharField(
        _("ref"),
        max_length=50,
        validators=[validate_one_line],
        help_text=_("The organisation's own key for the mentor."),
    )
    name = models.CharField(_("name"), max_length=200, validators=[validate_one_line])
    email = models.EmailField(_("email"), blank=True)
    phone = models.CharField(_("phone"), max_length=16, blank=True, validators=[validate_phone])
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES, default="nb")
    status = models.CharField(_("status"), max_length=6, choices=Status, default=Status.ACTIVE)
    pause_cause = models.CharField(_("pause cause"), max_length=21, choices=PauseCause, null=True, blank=True)
    pause_reason = RecordTextField(_("pause reason"))
    listed = models.BooleanField(
        _("on the public page"), default=True, help_text=_("Consents to stand on the public page.")
    )
    searchable = models.BooleanField(
        _("found by search engines"),
        default=False,
        db_default=False,
        help_text=_("Consents to be found there by search engines."),
    )
    # Rule 1 for the whole mentor: the first day on which, going by the latest certification of each required type,
    # one of them is not covered; empty means never. Kept by database triggers (lapses_on.sql among the migrations of
    # certifications), it only says whom the night must look at: the certifications themselves decide.
    lapses_on = models.DateField(_("lapses on"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = MentorQuerySet.as_manager()

    class Meta:
        verbose_name = _("mentor")
        verbose_name_plural = _("mentors")
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

    @property
    def can_be_paused(self) -> bool:
        """Whether a person or a revocation may pause: the night's own pause gives way to theirs (rules 5 and 9)."""
        return self.status == self.Status.ACTIVE or self.pause_cause == self.PauseCause.CERTIFICATION_EXPIRED

    def clean(self) -> None:
        if self.chapter_id and self.organisation_id and self.chapter.organisation_id != self.organisation_id:
            raise ValidationError({"chapter": _("The chapter belongs to another organisation.")})


class StatusChange(models.Model):
    """One line for every change of a mentor's status, never changed and never removed."""

    mentor = models.ForeignKey(
        Mentor, verbose_name=_("mentor"), on_delete=models.PROTECT, related_name="status_changes", db_index=False
    )
    from_status = models.CharField(_("from status"), max_length=6, choices=Mentor.Status)
    to_status = models.CharField(_("to status"), max_length=6, choices=Mentor.Status)
    cause = models.CharField(_("cause"), max_length=21, choices=Mentor.PauseCause, null=True)
    reason = RecordTextField(_("reason"))
    actor = models.ForeignKey(
        User,
        verbose_name=_("actor"),
        on_delete=models.PROTECT,
        null=True,
        db_index=False,
        help_text=_("Empty: the system."),
    )
    run_id = models.UUIDField(_("run"), null=True)
    # What rule 5 asks for: whoever was paused is resumed only when something covers these types again. Ids, because
    # this floor does not know the types, and their codes may change.
    paused_for = ArrayField(
        models.BigIntegerField(),
        verbose_name=_("paused for"),
        null=True,
        help_text=_("Ids of the certification types that a pause was for; empty: a person's, or not known."),
    )
    business_date = models.DateField(
        _("business date"), null=True, help_text=_("The day by whose rules it was done; empty: a person decided.")
    )
    at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("status change")
        verbose_name_plural = _("status changes")
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["mentor", "-id"], name="status_change_newest_first"),
            models.Index(fields=["run_id"], condition=models.Q(run_id__isnull=False), name="status_change_of_run"),
            # Whose status was changed by the rules of a later day: hardly ever anybody's.
            models.Index(
                fields=["business_date"],
                condition=models.Q(business_date__isnull=False),
                name="status_change_of_day",
            ),
        ]
        constraints = [
            # A pause takes over from another one only to be lifted by a person (rules 5 and 9).
            models.CheckConstraint(
                condition=~models.Q(from_status=models.F("to_status"))
                | models.Q(to_status="paused", cause__in=["manual", "certification_revoked"]),
                name="status_change_changes_something",
            ),
            models.CheckConstraint(
                condition=models.Q(paused_for__isnull=True) | models.Q(to_status="paused"),
                name="status_change_pauses_for_types",
            ),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.mentor_id}: {self.from_status} → {self.to_status}"
