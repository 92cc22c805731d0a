"""What people, and addresses, cannot be called."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

# As PostgreSQL reads it too, which has no NUL in a text.
HAS_CONTROL_CHARACTERS = r"[\x01-\x1f\x7f-\x9f]"
# What breaks a line for any program, what turns the letters after it around, and the halves of surrogate pairs.
NOT_OF_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# A name stands in the subject of messages, where a second line would be another header, and in files and lists, where
# it would be another row. Every text that is one line by nature has this validator (tests/config/test_one_line.py).
validate_one_line = RegexValidator(
    NOT_OF_A_LINE, _("Write it in one line, without control characters."), inverse_match=True
)
# It stands in a header of the public pages, whose policy another character could change.
validate_origin = RegexValidator(
    r"^https?://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?\Z",
    _("Write it as https://www.example.org: no path, no wildcard, in small letters."),
)
# The first parts of the service's own addresses: /{organisation}/{chapter}/ is a public page.
RESERVED_SLUGS = frozenset(
    [
        "a", "accounts", "admin", "anymail", "api", "c", "docs", "flower", "healthz", "i18n", "media", "metrics", "p",
        "public", "readyz", "robots.txt", "static",
    ]
)  # fmt: skip


def in_one_line(text: str) -> str:
    """Return a text that was written before it had to be one line, or elsewhere, as one."""
    return " ".join(NOT_OF_A_LINE.sub(" ", text).split())


def validate_not_reserved(slug: str) -> None:
    """Refuse a slug under which an organisation's public pages could not be reached."""
    if slug in RESERVED_SLUGS:
        raise ValidationError(_("“%(slug)s” is an address of the service itself."), params={"slug": slug})
