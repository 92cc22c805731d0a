"""What this floor writes into the records of mentors and messages."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from mentors.record_text import Phrase

NOT_LAPSED = Phrase("not_lapsed", _("No lapsed type is left."))
OUTDATED = Phrase("outdated", _("No longer true when it was about to leave."))
LAPSED = Phrase("lapsed", _("Lapsed: %(types)s"))
