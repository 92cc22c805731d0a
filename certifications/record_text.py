"""What this floor writes into the records of mentors and messages."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from mentors.record_text import Phrase

NOT_LAPSED = Phrase(_("No lapsed type is left."))
OUTDATED = Phrase(_("No longer true when it was about to leave."))

PHRASES = (NOT_LAPSED, OUTDATED)
