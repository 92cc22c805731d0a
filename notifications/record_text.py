"""Why a message did not leave, or did not arrive: what the desk for messages writes itself."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from mentors.record_text import Phrase

NO_ADDRESS = Phrase(_("The recipient has no address for the channel %(channel)s."))
BAD_ADDRESS = Phrase(_("The address is marked as bad: messages came back from it."))
GIVEN_UP = Phrase(_("Given up after %(attempts)s attempts: %(reason)s"))
LOST = Phrase(_("Its worker never came back."))
# What a server or a provider has reported.
DELAYED = Phrase(_("delayed: %(reason)s"))
CAME_BACK = Phrase(_("came back: %(reason)s"))
UNWANTED = Phrase(_("unwanted: %(reason)s"))
# What another end has answered.
APP_ANSWERED = Phrase(_("The app answered %(status)s."))
GATEWAY_ANSWERED = Phrase(_("The gateway answered %(status)s."))
GATEWAY_REFUSES = Phrase(_("The gateway can make nothing of the address."))

PHRASES = [value for value in list(vars().values()) if isinstance(value, Phrase)]
