"""Chat: the whole message, through the gateway that CHAT_URL names, to the address there that somebody chose."""

from __future__ import annotations

import re

from django.utils.translation import gettext_lazy as _

from notifications.channel import Recipient
from notifications.gateway import Gateway
from notifications.rendered_message import RenderedMessage, as_text


class Chat(Gateway):
    label = _("chat")
    code, setting = "chat", "CHAT_URL"
    # A person: @kari, kari@example.org, +4790000000, 123456789, @kari:example.org. Nothing that means something in a
    # URL, begins a list, or names a channel that others read (#general).
    address = re.compile(r"[\w@+][\w@+.:-]*")
    examples = ("+4790000000", "123456789", "@nobody", "@nobody:example.org", "nobody@example.org")
    splits = True

    def candidates(self, recipient: Recipient) -> tuple[str, ...]:
        return (recipient.chosen.strip(),)

    def title_and_body(self, rendered: RenderedMessage) -> tuple[str, str]:
        return rendered.subject, as_text(rendered)


CHANNEL = Chat()
