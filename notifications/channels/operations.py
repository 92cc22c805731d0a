"""Operations: e-mail to whoever runs the service, at any hour."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from notifications.channel import Recipient
from notifications.channels.email import Email


class Operations(Email):
    label = _("operations")
    is_personal = False
    keeps_hours = False

    def address_of(self, recipient: Recipient) -> str:
        return settings.OPERATIONS_EMAIL


CHANNEL = Operations()
