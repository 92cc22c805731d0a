"""Certification types, certifications and exemptions, and the questions asked of them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pghistory
from dateutil.relativedelta import relativedelta
from django.contrib.postgres.indexes import OpClass
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import ExpressionWrapper, OuterRef, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Upper
from django.utils.translation import gettext_lazy as _

from mentors.models import Mentor, Organisation, User, ids_if_few
from mentors.validators import validate_one_line

# Outside of these a date is a slip of the finger, and arithmetic with it may leave what a calendar can hold.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
REASONABLE = [MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)]


class CertificationTypeQuerySet(models.QuerySet["CertificationType"]):
    def named(self, codes: str, *, organisation: Organisation) -> list[str]:
        """Return the names of types, in the order of their codes, which are joined by commas."""
        names = self.names_of(organisation) if codes else {}
        return [names.get(code, code) for code in codes.split(",") if code]

    def names_of(self, organisation: Organisation) -> dict[str, str]:
        """Return the names of the organisation's types by their codes."""
        return dict(self.filter(organisation=organisation).values_list("code", "name"))


class CertificationType(models.Model):
    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.PROTECT, related_name="certification_types"
    )
    code = models.SlugField(_("code"), max_length=50)
    name = models.CharField(_("name"), max_length=200, validators=[validate_one_line])
    required = models.BooleanField(
        _("required"), default=False, help_text=_("A mentor without a valid one is paused (rule 7).")
    )
    validity_months = models.PositiveSmallIntegerField(_("valid for months"), null=True, blank=True)
    grace_days = models.PositiveSmallIntegerField(_("days of grace"), default=0)

    objects = CertificationTypeQuerySet.as_manager()

    class Meta:
        verbose_name = _("certification type")
        verbose_name_plural = _("certification types")
        ordering = ("code",)
        constraints = [models.UniqueConstraint(fields=["organisation", "code"], name="type_code_is_unique")]

    def __str__(self) -> str:
        return self.name

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save it, with the organisation's row locked first: `Mentor.lapses_on` follows (docs/rules.md, lock order)."""
        Organisation.objects.select_for_update(no_key=True).filter(pk=self.organisation_id).first()
        super().save(*args, **kwargs)

    def default_expiry(self, issued_on: date) -> date | None:
        """Return the last valid day of one issued on `issued_on`: months clamped, minus one day."""
        if self.validity_months is None:
            return None
        return issued_on + relativedelta(months=self.validity_months) - timedelta(days=1)


class LapsesOn(models.Func):
    """Rule 1, computed by the database function `lapses_on(expires_on, valid_through_expiry_day, grace_days)`."""

    function = "lapses_on"
    output_field = models.DateField()


# The last day of one, and of an open-ended one the last day there is: so that an index knows both in one order.
VALID_THROUGH = Coalesce("expires_on", Value(date.max), output_field=models.DateField())


class CertificationQuerySet(models.QuerySet["Certification"]):
    def in_force(self) -> CertificationQuerySet:
        return self.filter(revoked_at__isnull=True)

    def with_lapses_on(self) -> CertificationQuerySet:
        """Annotate rule 1: the first day not covered, empty for an open-ended certification."""
        return self.annotate(
            lapses_on=LapsesOn("expires_on", "type__organisation__valid_through_expiry_day", "type__grace_days")
        )

    def covering(self, *, on: date) -> CertificationQuerySet:
        """Rule 2, its first half: those that cover their (mentor, type) on the day."""
        return (
            self.in_force()
            .filter(issued_on__lte=on)
            .with_lapses_on()
            .filter(models.Q(lapses_on__isnull=True) | models.Q(lapses_on__gt=on))
        )

    def unless_superseded(self, one_day: Combinable) -> CertificationQuerySet:
        """Rule 6: leave out those whose mentor and type have another that expires later and began in time.

        `one_day` is 1 where a certification is valid through its expiry day, else 0.
        """
        begins_at_the_latest = ExpressionWrapper(OuterRef("expires_on") + one_day, output_field=models.DateField())
        later = models.Q(expires_on__isnull=True) | models.Q(expires_on__gt=OuterRef("expires_on"))
        superseding = Certification.objects.in_force().filter(
            later, mentor=OuterRef("mentor"), type=OuterRef("type"), issued_on__lte=begins_at_the_latest
        )
        return self.exclude(models.Exists(superseding))

    def search(self, text: str) -> CertificationQuerySet:
        """Find certifications by their mentor (see there) or the beginning of their number."""
        mentors = Mentor.objects.search(text).order_by().values("pk")
        few = ids_if_few(Certification.objects.filter(number__istartswith=text.strip()))
        by_number = models.Q(number__istartswith=text.strip()) if few is None else models.Q(pk__in=few)
        return self.filter(models.Q(mentor__in=mentors) | by_number)

    def lapsed(self, *, on: date) -> CertificationQuerySet:
        """Rule 3: those of a required type, held on the day, whose (mentor, type) nothing covers on the day."""
        same = {"mentor": OuterRef("mentor"), "type": OuterRef("type")}
        return (
            self.in_force()
            .filter(issued_on__lte=on, type__required=True)
            .exclude(models.Exists(Certification.objects.covering(on=on).filter(**same)))
            .exclude(models.Exists(Exemption.objects.in_force(on=on).filter(**same)))
        )


@pghistory.track(
    pghistory.InsertEvent(),
    # By row: a statement trigger would join old rows to new ones by a plan made for the first, perhaps tiny, statement.
    pghistory.UpdateEvent(level=pghistory.Row),
    pghistory.DeleteEvent(),
    exclude=["updated_at"],
    level=pghistory.Statement,
)
class Certification(models.Model):
    mentor = models.ForeignKey(
        Mentor, verbose_name=_("mentor"), on_delete=models.PROTECT, related_name="certifications", db_index=False
    )
    type = models.ForeignKey(
        CertificationType,
        verbose_name=_("type"),
        on_delete=models.PROTECT,
        related_name="certifications",
        db_index=False,
    )
    number = models.CharField(_("number"), max_length=50, blank=True, validators=[validate_one_line])
    issued_on = models.DateField(_("issued on"), validators=REASONABLE)
    expires_on = models.DateField(
        _("expires on"), null=True, blank=True, validators=REASONABLE, help_text=_("Empty: open-ended.")
    )
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    revoked_reason = models.TextField(_("revoked reason"), blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = CertificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("certification")
        verbose_name_plural = _("certifications")
        ordering = ("expires_on", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["mentor", "type", "number", "issued_on"], name="certification_is_recorded_once"
            ),
            models.CheckConstraint(
                condition=models.Q(expires_on__isnull=True) | models.Q(expires_on__gte=models.F("issued_on")),
                name="certification_expires_after_issue",
            ),
        ]
        indexes = [
            # What the reminders look for: the certifications that expire in the coming days.
            models.Index(
                fields=["expires_on"], condition=models.Q(revoked_at__isnull=True), name="certification_expires_on"
            ),
            # The certifications that begin later: their mentors may have a gap today.
            models.Index(
                fields=["issued_on"], condition=models.Q(revoked_at__isnull=True), name="certification_issued_on"
            ),
            # What the API's lists count by: small, because what is alike is stored once, and enough without the rows.
            models.Index(fields=["type", "expires_on", "issued_on", "revoked_at"], name="certification_of_type"),
            # … what they page through …
            models.Index(
                VALID_THROUGH,
                "id",
                include=["type", "expires_on", "issued_on", "revoked_at"],
                name="certification_by_expiry",
            ),
            # … and what mentors and chapters hold.
            models.Index(
                fields=["mentor", "expires_on"],
                include=["id", "type", "issued_on", "revoked_at"],
                name="certification_of_mentor",
            ),
            models.Index(
                fields=["type", "expires_on"],
                condition=models.Q(revoked_at__isnull=False),
                name="certification_revoked",
            ),
            models.Index(OpClass(Upper("number"), name="text_pattern_ops"), name="certification_search_number"),
        ]

    def __str__(self) -> str:
        return f"{self.type_id} {self.number}".strip()

    def clean(self) -> None:
        if self.type_id and self.mentor_id and self.type.organisation_id != self.mentor.organisation_id:
            raise ValidationError({"type": _("The type belongs to another organisation.")})


class ExemptionQuerySet(models.QuerySet["Exemption"]):
    def in_force(self, *, on: date) -> ExemptionQuerySet:
        """Rule 2, its second half."""
        return self.filter(from_on__lte=on, until_on__gte=on)


class Exemption(models.Model):
    """A dated promise that a mentor may go on without a certification of the type."""

    mentor = models.ForeignKey(Mentor, verbose_name=_("mentor"), on_delete=models.PROTECT, related_name="exemptions")
    type = models.ForeignKey(
        CertificationType, verbose_name=_("type"), on_delete=models.PROTECT, related_name="exemptions"
    )
    from_on = models.DateField(_("from"))
    until_on = models.DateField(_("until"))
    reason = models.TextField(_("reason"))
    approved_by = models.ForeignKey(
        User, verbose_name=_("approved by"), on_delete=models.PROTECT, related_name="approved_exemptions"
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = ExemptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("exemption")
        verbose_name_plural = _("exemptions")
        ordering = ("-until_on", "id")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(until_on__gte=models.F("from_on")), name="exemption_ends_after_it_begins"
            )
        ]
        indexes = [
            models.Index(fields=["until_on", "from_on"], name="exemption_in_force"),
        ]

    def __str__(self) -> str:
        return f"{self.type_id}: {self.from_on} – {self.until_on}"
