"""Every message is whole in every language: nothing of it bypasses the catalogues, and the catalogues lack nothing."""

from __future__ import annotations

import gettext
import re
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation
from django.utils.translation import trans_real

from notifications.messages import samples
from notifications.messages.render import render_message
from notifications.messages.samples import sample_messages
from notifications.models import Answer
from notifications.rendered_message import as_html, as_text
from tests.conftest import TODAY
from tests.support.messages import MESSAGES, TAGS, URL

TRANS = vars(translation)["_trans"]  # what gettext and the others of django.utils.translation ask
LOCALE = Path(__file__).parents[3] / "notifications" / "locale"
TRANSLATED = ("nb", "nn")
SLUGS = sorted({slug for slug, _language in MESSAGES})

INNERMOST = re.compile(r"⟦[^⟦⟧]*⟧")
LETTER = re.compile(r"[^\W\d_]+")
STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)

# What messages are told and do not say themselves.
GIVEN = sorted(
    {*samples.NAMES, "Ola Berg", samples.COURSE, samples.FIRST_AID, samples.SIGN_LANGUAGE, "Oslo", "Bergen",
     "HLF", "Nattevakt", "kari", "Firefox, Windows", str(samples.RUN), "550 5.1.1 User unknown", "app.hlf.example"},
    key=len, reverse=True,
)  # fmt: skip

# Words that only the one, or only the other, of the two has.
ONLY = {
    "nb": re.compile(r"(?i)\b(ikke|noen|hva|hvem|hvor|fra|jeg|gikk|dager|meldinger|sertifiseringen|fornyelsen|nå)\b"),
    "nn": re.compile(r"(?i)\b(ikkje|nokon|kva|kven|kvar|frå|eg|gjekk|dagar|meldingar|sertifiseringa|fornyinga|no)\b"),
}  # fmt: skip


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have whatever comes out of a catalogue come out in brackets."""
    for name in ("gettext", "pgettext", "ngettext", "npgettext"):
        monkeypatch.setattr(TRANS, name, _in_brackets(getattr(trans_real, name)))


def _in_brackets(translate: Any) -> Any:
    def in_brackets(*args: Any) -> str:
        return f"⟦{translate(*args)}⟧"

    return in_brackets


def bare_words(text: str) -> list[str]:
    """Return the words that stand in no brackets, except for what the message was given and for links."""
    while INNERMOST.search(text):
        text = INNERMOST.sub(" ", text)
    text = URL.sub(" ", text)
    for given in GIVEN:
        text = text.replace(given, " ")
    return LETTER.findall(text)


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("slug", SLUGS)
def test_no_word_of_a_message_bypasses_the_catalogue(marked: None, slug: str, language: str) -> None:
    message = dict(sample_messages(language, TODAY))[slug]

    rendered = render_message(message)

    page = TAGS.sub(" ", STYLE.sub(" ", as_html(rendered)))
    said = [rendered.subject, rendered.short, as_text(rendered).replace("\n", " "), page]
    assert [bare_words(text) for text in said] == [[], [], [], []]


def test_the_brackets_find_a_word_that_bypasses(marked: None) -> None:
    with translation.override("nb"):
        said = f"HLF: {translation.gettext('Open Nattevakt')} now, {Answer.Choice.HELP.label}"

    assert bare_words(said) == ["now"]


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_that_a_message_asks_for_is_translated(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    asked: set[tuple[str, ...]] = set()
    for name, words in {"gettext": 1, "ngettext": 2}.items():
        monkeypatch.setattr(TRANS, name, _remembering(getattr(trans_real, name), words, asked))
    for _slug, message in sample_messages(language, TODAY):
        render_message(message)
    monkeypatch.undo()

    catalogue = gettext.translation("django", LOCALE, [language])._catalog  # type: ignore[attr-defined]

    ours = {text for text in asked if _is_ours(text[0])}
    assert len(ours) > 90
    missing = [text for text in ours if not catalogue.get(text[0] if len(text) == 1 else (text[0], 1))]
    assert missing == []


def _remembering(translate: Any, words: int, asked: set[tuple[str, ...]]) -> Any:
    def remember(*args: Any) -> str:
        asked.add(args[:words])
        text: str = translate(*args)
        return text

    return remember


def _is_ours(text: str) -> bool:
    """Whether it is no name of a month, which Django's own catalogue has."""
    return not re.fullmatch(r"[A-Z][a-z]+\.?", text) or text == "Run"


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_catalogue_has_nothing_untranslated_and_nothing_fuzzy(language: str) -> None:
    source = (LOCALE / language / "LC_MESSAGES" / "django.po").read_text()

    entries = source.split("\n\n")[1:]

    assert len(entries) > 100
    assert "fuzzy" not in source
    assert "#~" not in source
    assert [entry for entry in entries if re.search(r'^msgstr(\[\d\])? ""\n(?!")', entry + "\n", re.MULTILINE)] == []


@pytest.mark.parametrize("slug", SLUGS)
def test_every_language_has_words_of_its_own(slug: str) -> None:
    rendered_messages = {language: render_message(MESSAGES[slug, language]) for language in ("nb", "nn", "en")}
    texts = {language: as_text(rendered) for language, rendered in rendered_messages.items()}

    assert len(set(texts.values())) == 3
    assert ONLY["nb"].findall(texts["nn"]) == []
    assert ONLY["nn"].findall(texts["nb"]) == []
    assert re.findall(r"\b(the|you|is|not|and|to)\b", texts["nb"] + texts["nn"], re.IGNORECASE) == []


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_a_letter_is_in_its_readers_language_whatever_is_active(language: str) -> None:
    with translation.override("nn" if language == "nb" else "nb"):
        rendered = render_message(MESSAGES["paused", language])

    assert rendered.language == language
    assert rendered == render_message(MESSAGES["paused", language])
    assert translation.get_language() == "en"
