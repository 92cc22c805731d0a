"""SMS: a message's short form, through the gateway that SMS_URL names."""

from __future__ import annotations

import re

from django.utils.translation import gettext_lazy as _

from notifications.channel import Recipient
from notifications.gateway import Gateway
from notifications.rendered_message import RenderedMessage


class Sms(Gateway):
    label = _("SMS")
    code, setting = "sms", "SMS_URL"
    address = re.compile(r"\+[1-9][0-9]{9,13}")  # E.164, of the lengths that Apprise takes for a phone number
    examples = ("+4790000000",)

    def candidates(self, recipient: Recipient) -> tuple[str, ...]:
        return "".join(recipient.chosen.split()), recipient.phone  # people write +47 900 00 000

    def title_and_body(self, rendered: RenderedMessage) -> tuple[str, str]:
        return "", rendered.short


CHANNEL = Sms()
