"""The calendar that a coordinator subscribes to."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mentors.models import User


class CalendarFeed(models.Model):
    """The address of a coordinator's calendar of expiries. Whoever has the address may read it, until it is revoked."""

    user = models.OneToOneField(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="calendar_feed")
    # Of the secret in the address, which is shown once and kept nowhere.
    digest = models.CharField(_("digest"), max_length=64)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("calendar")
        verbose_name_plural = _("calendars")
        constraints = [models.UniqueConstraint(fields=["digest"], name="calendar_feed_address_is_unique")]

    def __str__(self) -> str:
        return str(self.user)
