"""Sessions of the desk, with whose they are."""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.translation import gettext_lazy as _

from mentors.models.organisations import User


class Session(AbstractBaseSession):
    """One browser at the desk. Its owner sees it on a page of their own and can end it; nobody sees its key.

    Without a user it is of somebody who has not logged in yet.
    """

    user = models.ForeignKey(
        User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="sessions", null=True, editable=False
    )
    device = models.CharField(_("device"), max_length=100, default="", editable=False)
    began_at = models.DateTimeField(_("began at"), editable=False)
    seen_at = models.DateTimeField(_("last seen at"), editable=False)  # to the minute

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    @classmethod
    def get_session_store_class(cls) -> Any:
        return import_module(settings.SESSION_ENGINE).SessionStore

    @property
    def reference(self) -> str:
        """What a page may show of the key: enough to name the session, and useless for entering it."""
        return sha256(self.session_key.encode()).hexdigest()[:32]
