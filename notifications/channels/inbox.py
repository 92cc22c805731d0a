"""The inbox: what is written there has arrived."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from notifications.channel import Channel


class Inbox(Channel):
    label = _("inbox")
    is_personal = False  # every coordinator has it, whatever else is chosen


CHANNEL = Inbox()
