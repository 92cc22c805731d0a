"""Extending many certifications at once, kept so that it can be undone."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from certifications.models.certifications import Certification
from mentors.models import Organisation, User


class Extension(models.Model):
    """One decision to let many certifications expire later, as when a course was cancelled."""

    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.PROTECT, related_name="extensions"
    )
    reason = models.TextField(_("reason"))
    by = models.ForeignKey(
        User, verbose_name=_("by"), on_delete=models.PROTECT, related_name="extensions", db_index=False
    )
    at = models.DateTimeField(_("time"))
    undone_by = models.ForeignKey(
        User, verbose_name=_("undone by"), on_delete=models.PROTECT, related_name="+", null=True, db_index=False
    )
    undone_at = models.DateTimeField(_("undone at"), null=True)
    undone_reason = models.TextField(_("undone reason"), blank=True)

    class Meta:
        verbose_name = _("extension")
        verbose_name_plural = _("extensions")
        ordering = ("-at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(undone_at__isnull=True, undone_by__isnull=True)
                | models.Q(undone_at__isnull=False, undone_by__isnull=False),
                name="extension_is_undone_by_somebody",
            )
        ]

    def __str__(self) -> str:
        return self.reason


class ExtendedCertification(models.Model):
    """What an extension changed in one certification."""

    extension = models.ForeignKey(
        Extension, verbose_name=_("extension"), on_delete=models.CASCADE, related_name="certifications", db_index=False
    )
    certification = models.ForeignKey(
        Certification, verbose_name=_("certification"), on_delete=models.CASCADE, related_name="extensions"
    )
    from_on = models.DateField(_("expired on before"), help_text=_("The last valid day before the extension."))
    to_on = models.DateField(_("to"), help_text=_("The last valid day with it."))
    undone = models.BooleanField(_("undone"), default=False)

    class Meta:
        verbose_name = _("extended certification")
        verbose_name_plural = _("extended certifications")
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=["extension", "certification"], name="extension_extends_each_once"),
            models.CheckConstraint(condition=models.Q(to_on__gt=models.F("from_on")), name="extension_is_to_later"),
        ]

    def __str__(self) -> str:
        return f"{self.certification_id}: {self.from_on} → {self.to_on}"
