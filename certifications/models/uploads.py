"""A roster that was uploaded at the desk and waits for a person to say yes."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from mentors.models import Organisation, User


class RosterUpload(models.Model):
    """A file between its preview and its import; removed with the import, or by the sweep after a day.

    It is full of people, so it is neither in a folder, where another web process would not find it, nor in Redis.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(
        Organisation, verbose_name=_("organisation"), on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.ForeignKey(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(_("name"), max_length=200)
    content = models.BinaryField(_("content"))
    uploaded_at = models.DateTimeField(_("uploaded at"))

    class Meta:
        verbose_name = _("uploaded roster")
        verbose_name_plural = _("uploaded rosters")

    def __str__(self) -> str:
        return self.name
