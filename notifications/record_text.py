"""Why a message did not leave, or did not arrive: what the desk for messages writes itself."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from mentors.record_text import Phrase

NO_ADDRESS = Phrase("message_no_address", _("The recipient has no address for the channel %(channel)s."))
BAD_ADDRESS = Phrase("message_bad_address", _("The address is marked as bad: messages came back from it."))
NOT_ACTIVE = Phrase("message_recipient_not_active", _("The recipient's account is closed."))
NO_ROLE = Phrase("message_recipient_has_no_role", _("The recipient has no role any more that lets them know it."))
GIVEN_UP = Phrase("message_given_up", _("Given up after %(attempts)s attempts: %(reason)s"))
LOST = Phrase("message_lost", _("Its worker never came back."))
# What a server or a provider has reported.
DELAYED = Phrase("message_delayed", _("delayed: %(reason)s"))
CAME_BACK = Phrase("message_came_back", _("came back: %(reason)s"))
UNWANTED = Phrase("message_unwanted", _("unwanted: %(reason)s"))
# What another end has answered.
APP_ANSWERED = Phrase("message_app_answered", _("The app answered %(status)s."))
GATEWAY_ANSWERED = Phrase("message_gateway_answered", _("The gateway answered %(status)s."))
GATEWAY_REFUSES = Phrase("message_gateway_refuses", _("The gateway can make nothing of the address."))
# What a mail server, or a provider, has answered; "not now" of the first kind is about one message only.
NOT_NOW = Phrase("message_not_now", "%(answer)s")
MAIL_SERVER_SAID = Phrase("message_mail_server_said", "%(answer)s")
PROVIDER_REFUSED = Phrase("message_provider_refused", _("The mail provider refused it."))
PROVIDER_ANSWERED = Phrase("message_provider_answered", _("The mail provider answered %(status)s."))
GATEWAY_SILENT = Phrase("message_gateway_silent", _("The gateway does not answer."))
GATEWAY_NOT_NOW = Phrase("message_gateway_not_now", _("The gateway did not take it."))
GATEWAY_UNUSABLE = Phrase("message_gateway_unusable", _("%(setting)s is not a gateway's address."))
BROKE = Phrase("message_broke", "%(error)s")
NOT_PUBLIC = Phrase(
    "message_not_public",
    _("The app's host has an address that is not public, and WEBHOOK_PRIVATE_HOSTS does not allow that."),
)
NOT_HTTPS = Phrase(
    "message_not_https",
    _("The app's address does not begin with https://, and WEBHOOK_PRIVATE_HOSTS does not allow that."),
)
