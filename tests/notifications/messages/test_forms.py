"""The forms of the messages: both say the same, and everybody can read them."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from notifications.links import Links
from notifications.messages.render import render_message
from notifications.messages.samples import OSLO, sample_messages
from notifications.models import Notification
from notifications.rendered_message import Paragraph, RenderedMessage, as_html, as_text
from tests.conftest import TODAY
from tests.support.messages import EVERY_MESSAGE, LANGUAGES, MESSAGES, TAGS, URL, Kind, happened, reminder, sample

RULE = re.compile(r"([\w.-]+) \{ ([^}]*) \}")


def words_of(rendered: RenderedMessage) -> list[str]:
    page = as_html(rendered)
    body = page[page.index("<h1>") :]
    return html.unescape(TAGS.sub(" ", body)).split()


@EVERY_MESSAGE
def test_both_forms_say_the_same_words(slug: str, language: str) -> None:
    rendered = render_message(MESSAGES[slug, language])

    text = URL.sub("", as_text(rendered)).replace("\n--\n", "\n")

    listed = re.sub(r"^- ", "", text, flags=re.MULTILINE)
    assert words_of(rendered) == [*rendered.subject.split(), *listed.split()]
    assert sorted(URL.findall(as_text(rendered))) == sorted(re.findall(r'href="([^"]+)"', as_html(rendered)))


@EVERY_MESSAGE
def test_a_text_has_short_lines_and_links_have_their_own(slug: str, language: str) -> None:
    lines = as_text(render_message(MESSAGES[slug, language])).splitlines()

    assert [line for line in lines if len(line) > 78 and not URL.fullmatch(line)] == []
    assert [line for line in lines if "://" in line and not URL.fullmatch(line)] == []


@EVERY_MESSAGE
def test_a_text_message_holds_the_sender_and_at_most_one_link(slug: str, language: str) -> None:
    short = render_message(MESSAGES[slug, language]).short

    assert short.startswith(("HLF: ", "Nattevakt: "))
    assert len(short) <= 300
    assert len(URL.findall(short)) <= 1
    assert not set(short) & set("…“”«»–—"), "costs the text message its alphabet"


@pytest.mark.parametrize("path_length", [0, 150, 400])
def test_a_text_message_is_never_longer_than_two_parts_and_its_link_never_cut(path_length: int) -> None:
    link = "https://nattevakt.example/" + "a" * path_length
    message = sample("several-reminders")
    message.notification.organisation.name = "Norges aller lengste organisasjonsnavn " * 5
    told = [happened(reminder(7, name="Et kurs med et svært langt navn " * 20))]
    try:
        short = render_message(replace(message, events=told, links=Links(answer=link))).short
    finally:
        message.notification.organisation.name = "HLF"

    assert len(short) <= 300
    assert short.endswith(f" {link}") == (path_length < 200)
    assert URL.findall(short) in ([], [link])


@EVERY_MESSAGE
def test_whatever_stands_in_a_name_a_letter_is_whole(slug: str, language: str) -> None:
    message = next(message for name, message in sample_messages(language, TODAY) if name == slug)
    odd = 'Liv %(x)s %d <b>&"\n\r\tMoe'
    for one in message.events:
        one.mentor.name = odd
    row = message.notification
    row.context = {**row.context, "reason": odd, "host": odd, "name": odd, "unheard_of": odd}

    rendered = render_message(replace(message, recipient_name=odd))

    assert "\n" not in rendered.subject + rendered.short + rendered.greeting
    assert "<b>" not in as_html(rendered)
    assert as_text(rendered).startswith({"en": "Hi"}.get(language, "Hei") + " Liv,\n")


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_kind_without_anything_to_tell_still_is_a_sensible_letter(kind: Kind, language: str) -> None:
    message = next(one for one in MESSAGES.values() if one.notification.kind == kind)
    row = Notification(kind=kind, organisation=OSLO.organisation, language=language, context={})

    rendered = render_message(replace(message, notification=row, events=[], recipient_name="", links=Links()))

    assert rendered.greeting in {"Hei,", "Hi,"}
    assert rendered.subject
    assert any(isinstance(block, Paragraph) for block in rendered.blocks)
    assert "%" not in as_text(rendered)
    assert "None" not in as_text(rendered)


@EVERY_MESSAGE
def test_a_page_is_one_that_everybody_can_read(slug: str, language: str) -> None:
    rendered = render_message(MESSAGES[slug, language])

    page = as_html(rendered)

    assert f'<html lang="{language}">' in page
    assert f"<title>{html.escape(rendered.subject)}</title>" in page
    assert page.count("<h1>") == 1
    for foreign in ("<img", "<table", "<script", "<link", "url(", "@import", "http-equiv"):
        assert foreign not in page


def test_the_colours_of_a_page_have_a_contrast_of_seven_to_one_by_day_and_by_night() -> None:
    page = as_html(render_message(MESSAGES["one-reminder", "en"]))

    by_day, by_night = page.split("prefers-color-scheme: dark")
    for style in (by_day, by_night):
        pairs = [
            dict(re.findall(r"(?<![-\w])(color|background): (#\w{6})", body)) for _name, body in RULE.findall(style)
        ]
        contrasts = [_contrast(pair["color"], pair["background"]) for pair in pairs if len(pair) == 2]
        assert len(contrasts) == 4
        assert min(contrasts) >= 7
    sizes = [int(size) for size in re.findall(r"font(?:-size)?: (\d+)px", page)]
    assert min(sizes) >= 16


def _contrast(one: str, other: str) -> float:
    """Return the contrast of WCAG 2.1."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
