"""Extending many certifications at once, kept so that it can be undone."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from certifications.models.certifications import Certification
from mentors.models import Organisation, User


class Extension(models.Model):
    """One decision to let many certifications expire later, as when a course was cancelled."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="extensions")
    reason = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="extensions", db_index=False)
    at = models.DateTimeField()
    undone_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, db_index=False)
    undone_at = models.DateTimeField(null=True)
    undone_reason = models.TextField(blank=True)

    class Meta:
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

    extension = models.ForeignKey(Extension, on_delete=models.CASCADE, related_name="certifications", db_index=False)
    certification = models.ForeignKey(Certification, on_delete=models.CASCADE, related_name="extensions")
    from_on = models.DateField(help_text=_("The last valid day before the extension."))
    to_on = models.DateField(help_text=_("The last valid day with it."))
    undone = models.BooleanField(default=False)

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=["extension", "certification"], name="extension_extends_each_once"),
            models.CheckConstraint(condition=models.Q(to_on__gt=models.F("from_on")), name="extension_is_to_later"),
        ]

    def __str__(self) -> str:
        return f"{self.certification_id}: {self.from_on} → {self.to_on}"
