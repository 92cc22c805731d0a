"""What a record says: a code and its parameters are stored, and the sentence is made when somebody reads it (ADR 22).

    Phrase ───── one sentence that a record may say: its code, and its text with places such as `%(line)s`
    RecordText ─ what one record says: any number of phrases, each with its parameters; `str()` of it is in the
                 reader's language
    RecordTextField ─ keeps it: `[{"code": "rejected", "by": "kari", "said": "…"}]`

Code compares codes and parameters, and never reads a sentence. Each app has its phrases in its own `record_text.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields.json import DataContains
from django.utils import translation
from django.utils.functional import Promise
from django_stubs_ext import StrOrPromise

PHRASES: dict[str, Phrase] = {}  # by code


class Phrase:
    """A sentence that a record may say. Its code is unique and never changes, because records keep it."""

    def __init__(self, code: str, text: StrOrPromise) -> None:
        if code in PHRASES:
            raise ValueError(f"The code {code} is taken.")
        self.code, self.text = code, text
        PHRASES[code] = self

    def __call__(self, **params: object) -> RecordText:
        """Say it, with a value for each place. A value may be what another record says, or a list of words."""
        return RecordText([{"code": self.code} | {name: _storable(value) for name, value in params.items()}])

    def render(self, params: Mapping[str, Any]) -> str:
        shown = {name: _shown(value) for name, value in params.items()}
        return str(self.text % shown) if shown else str(self.text)


class RecordText(Promise):
    """What a record says. It is text that waits for its reader, as Django's own lazy texts are."""

    def __init__(self, said: Iterable[Mapping[str, Any]] = ()) -> None:
        self._said = tuple(dict(each) for each in said)

    def __str__(self) -> str:
        text = ""
        for sentence in map(_render, self._said):
            # Sentences follow each other after a space, the parts of a list after a semicolon.
            text += ("" if not text else " " if text.endswith(".") else "; ") + sentence
        return text

    def __add__(self, other: RecordText) -> RecordText:
        return RecordText(self._said + other._said)

    def __bool__(self) -> bool:
        return bool(self._said)

    def __contains__(self, phrase: Phrase) -> bool:
        return any(each["code"] == phrase.code for each in self._said)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordText) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self.as_text())

    def __iter__(self) -> Iterator[RecordText]:
        return (RecordText([each]) for each in self._said)

    def __repr__(self) -> str:
        return f"<RecordText {self.as_text()}>"

    def startswith(self, other: RecordText) -> bool:
        """Whether it begins with all that the other says."""
        return self._said[: len(other._said)] == other._said

    def without(self, phrase: Phrase) -> RecordText:
        return RecordText(each for each in self._said if each["code"] != phrase.code)

    def params_of(self, phrase: Phrase) -> dict[str, Any]:
        """Return the values with which the phrase is said; nothing if it is not."""
        found = next((each for each in self._said if each["code"] == phrase.code), {})
        return {name: value for name, value in found.items() if name != "code"}

    def in_english(self) -> str:
        """Return what operations read, whatever the language of this process is."""
        with translation.override("en"):
            return str(self)

    def in_all_languages(self) -> set[str]:
        said = set()
        for language, _name in settings.LANGUAGES:
            with translation.override(language):
                said.add(str(self))
        return said

    def as_json(self) -> list[dict[str, Any]]:
        return [dict(each) for each in self._said]

    def as_text(self) -> str:
        """Return codes and parameters as one text, the same in every language: for files and digests."""
        return "; ".join(
            " ".join(filter(None, (each["code"], _canonical({k: v for k, v in each.items() if k != "code"}))))
            for each in self._said
        )


EMPTY = RecordText()
# The words of a person or of an error, as they are.
VERBATIM = Phrase("verbatim", "%(text)s")


def verbatim(text: str) -> RecordText:
    return VERBATIM(text=text) if text else EMPTY


def join(said: Iterable[RecordText]) -> RecordText:
    return sum(said, RecordText())


class RecordTextField(models.Field):  # type: ignore[type-arg]  # not subscriptable where nobody patches Django
    """Keeps what a record says as `jsonb`. `error__contains=[{"code": "…"}]` finds what says it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("default", RecordText)
        options.setdefault("blank", True)
        super().__init__(*args, **options)

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "jsonb"

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, str):
            raise TypeError(f"A record says a RecordText, not a str; for words of others there is verbatim({value!r}).")
        return value.as_json() if isinstance(value, RecordText) else value

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        value = value if prepared else self.get_prep_value(value)
        return None if value is None else connection.ops.adapt_json_value(value, None)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> RecordText | None:
        return None if value is None else RecordText(json.loads(value))

    def to_python(self, value: Any) -> Any:
        return RecordText(value) if isinstance(value, list) else value

    def validate(self, value: Any, model_instance: Any) -> None:
        """Take it as it is: no person types it in."""


RecordTextField.register_lookup(DataContains)


def _storable(value: object) -> Any:
    match value:
        case RecordText():
            return value.as_json()
        case int() | None:
            return value
        case list() | tuple():
            return [_as_postgresql_takes_it(str(each)) for each in value]
        case _:
            return _as_postgresql_takes_it(str(value))


def _as_postgresql_takes_it(text: str) -> str:
    """Return the text without NUL and halves of surrogate pairs, which the message of an error may have."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _render(said: Mapping[str, Any]) -> str:
    params = {name: value for name, value in said.items() if name != "code"}
    try:
        return PHRASES[said["code"]].render(params)
    except KeyError:  # another version has the code, or gives it other parameters: it is shown as it stands
        return f"{said.get('code', '')} {_canonical(params)}".strip()


def _shown(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return ", ".join(value) if all(isinstance(each, str) for each in value) else str(RecordText(value))


def _canonical(params: Mapping[str, Any]) -> str:
    return json.dumps(params, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if params else ""
