"""A message in words, in one language, and the two forms that it takes: text first, and HTML that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from django.template.loader import get_template

WIDTH = 78


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    form: ClassVar[str] = "paragraph"  # by which the template knows it

    text: str


@dataclass(frozen=True, kw_only=True)
class BulletList:
    """A list under a heading."""

    form: ClassVar[str] = "items"

    heading: str
    items: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Link:
    form: ClassVar[str] = "link"

    label: str
    url: str


@dataclass(frozen=True, kw_only=True)
class LinkList:
    """What the reader can do, one tap each, after what is asked; the heading may be empty."""

    form: ClassVar[str] = "links"

    heading: str
    links: tuple[Link, ...]


Block = Paragraph | BulletList | LinkList


@dataclass(frozen=True, kw_only=True)
class RenderedMessage:
    language: str  # nb, nn or en
    subject: str
    short: str  # all of it in a text message: at most 300 characters, a link included
    greeting: str
    blocks: tuple[Block, ...]
    footer: tuple[Paragraph | Link, ...]  # why the reader gets this, and how to get it otherwise


def as_text(rendered: RenderedMessage) -> str:
    """Return the message as plain text, in lines of at most 78 characters except for links."""
    footer = "\n\n".join(map(_as_text, rendered.footer))
    return f"{_wrap(rendered.greeting)}\n\n{as_note(rendered)}\n\n--\n{footer}\n"


def as_note(rendered: RenderedMessage) -> str:
    """Return what the message says as plain text, without greeting and footer: for an inbox, where both go without."""
    return "\n\n".join(map(_as_text, rendered.blocks))


def as_html(rendered: RenderedMessage) -> str:
    """Return the message as an HTML document that says the same, for WCAG 2.1 AA."""
    html: str = _template().render({"rendered": rendered})
    return html


@cache
def _template() -> Any:
    return get_template("notifications/message.html")


def _as_text(block: Block | Link) -> str:
    match block:
        case Paragraph():
            return _wrap(block.text)
        case BulletList():
            return "\n".join([_wrap(block.heading), *(_wrap(f"- {item}", indent="  ") for item in block.items)])
        case Link():
            return f"{_wrap(block.label)}\n{block.url}"
        case LinkList():
            heading = [_wrap(block.heading)] if block.heading else []
            return "\n\n".join([*heading, *map(_as_text, block.links)])


def _wrap(text: str, *, indent: str = "") -> str:
    """Return the text in lines. `textwrap` takes ten times as long, and a night writes tens of thousands of letters."""
    if len(text) <= WIDTH and "\n" not in text:
        return text
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = indent + word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])
