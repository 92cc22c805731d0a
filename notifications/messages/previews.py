"""The sample messages as they are read, for whoever wants to see them before they are sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from notifications.messages.render import render_message
from notifications.messages.samples import sample_messages
from notifications.rendered_message import RenderedMessage, as_html, as_text

READ_ON = date(2026, 11, 21)  # always the same day, so that the same words give the same pictures


@dataclass(frozen=True, kw_only=True)
class Preview:
    slug: str
    kind: str
    rendered: RenderedMessage
    text: str
    html: str


def previews(*, languages: Iterable[str], kind: str = "") -> list[Preview]:
    """Return the samples of the kind, or of all kinds, in each of the languages."""
    return [
        Preview(
            slug=slug, kind=message.notification.kind, rendered=rendered, text=as_text(rendered), html=as_html(rendered)
        )
        for language in languages
        for slug, message in sample_messages(language, READ_ON)
        if kind in {"", message.notification.kind}
        for rendered in [render_message(message)]
    ]
