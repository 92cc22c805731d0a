"""What people, and addresses, cannot be called."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

# As PostgreSQL reads it too, which has no NUL in a text.
HAS_CONTROL_CHARACTERS = r"[\x01-\x1f\x7f-\x9f]"
# A name stands in the subject of messages, where a second line would be another header.
validate_one_line = RegexValidator(
    r"[\x00-\x1f\x7f-\x9f]", _("Write it in one line, without control characters."), inverse_match=True
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


def validate_not_reserved(slug: str) -> None:
    """Refuse a slug under which an organisation's public pages could not be reached."""
    if slug in RESERVED_SLUGS:
        raise ValidationError(_("“%(slug)s” is an address of the service itself."), params={"slug": slug})
