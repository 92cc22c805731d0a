"""The reasons that the night writes into its records, in the language of the reader.

A record keeps one wording for all readers; a person's own words, and errors, are shown as they are.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

REASONS = {
    "No lapsed type is left.": _("No lapsed type is left."),
    "No longer true when it was about to leave.": _("No longer true when it was about to leave."),
    "reminded the coordinators only: the mentor has answered": _(
        "Only the coordinators were reminded: the mentor has answered."
    ),
    "automatic pausing was switched off": _("Automatic pausing was switched off."),
    "the mentor is paused already": _("The mentor was paused already."),
    "the mentor is ended already": _("The mentor had ended already."),
    "renewed or exempted in between: no lapsed type is left": _(
        "Renewed or exempted in between: no lapsed type is left."
    ),
    "automatic resuming was switched off": _("Automatic resuming was switched off."),
    "the mentor is active": _("The mentor was active already."),
    "the mentor is paused (manual)": _("A person had paused the mentor."),
    "the mentor is paused (certification_revoked)": _("The mentor was paused because a certification was revoked."),
    "the mentor is ended": _("The mentor had ended."),
    "lapsed again in between": _("Lapsed again in between."),
    "renewed, changed or revoked in between": _("Renewed, changed or revoked in between."),
}


def in_words(reason: str) -> str:
    return str(REASONS.get(reason, reason))
