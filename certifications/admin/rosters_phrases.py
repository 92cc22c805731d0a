"""What a record says: written in English, kept as it was written, and read in the language of the reader.

What is not known as a phrase, as what a person or an error has said, is shown as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from django.utils.translation import gettext

PLACE = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Phrase:
    """A sentence with places for what differs, such as `%(line)s`; `shown` is what a reader gets in its place.

    The message to translate is `shown`, or `written` where a reader gets the same: mark it with `gettext_noop`.
    """

    written: str
    shown: str = ""

    def write(self, **values: object) -> str:
        """Return it in English, for the record."""
        return self.written % values

    def find(self, text: str, start: int) -> re.Match[str] | None:
        """Return the place in the text where it stands, if it stands at `start`."""
        return self._pattern.match(text, start)

    def show(self, found: re.Match[str]) -> str:
        """Return what was found in the reader's language."""
        return gettext(self.shown or self.written) % found.groupdict()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        literals, names = PLACE.split(self.written)[::2], PLACE.findall(self.written)
        # A place at the end takes all that follows: the words of a person, or a list.
        places = [f"(?P<{name}>{'.+?' if after else '.*'})" for name, after in zip(names, literals[1:], strict=True)]
        # Sentences follow each other after a space, the parts of a list after a semicolon.
        end = rf"(?={'' if literals[-1].endswith('.') else ';'} |\Z)"
        parts = [part for pair in zip(map(re.escape, literals), [*places, end], strict=True) for part in pair]
        return re.compile("".join(parts), re.DOTALL)


def read(text: str, phrases: Iterable[Phrase]) -> str:
    """Return the text in the reader's language, phrase by phrase up to the first that is not known."""
    said, at = "", 0
    while found := [(phrase, match) for phrase in phrases if (match := phrase.find(text, at))]:
        # Of several the one that leaves least to its places: the others have taken more than one sentence for theirs.
        phrase, match = min(found, key=lambda it: (sum(map(len, it[1].groups())), -it[1].end()))
        at = len(text) - len(text[match.end() :].lstrip("; "))
        said += phrase.show(match) + text[match.end() : at]
        if at == len(text):
            break
    return said + text[at:]
