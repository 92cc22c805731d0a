"""The e-mail with the link to a new password. It is no notification: its secret would stand in the database."""

from __future__ import annotations

from email.utils import make_msgid

import structlog
from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from mentors.accounts.passwords import PasswordLinks
from mentors.models import User
from notifications import dispatch
from notifications.channel import Envelope, Recipient, Undelivered
from notifications.channels import CHANNELS, EMAIL
from notifications.preferences import find_chosen
from notifications.rendered_message import Link, LinkList, Paragraph, RenderedMessage

log = structlog.get_logger(__name__)

SENDER = "Nattevakt"


def mail_password_link(user: User, *, base_url: str) -> None:
    """Let a worker send the link, so that the answer takes as long for an address that nobody has.

    When the broker is away, this process sends it.
    """
    if not dispatch.mail_password_link(user.pk, base_url=base_url):
        send_password_link(user, base_url=base_url)


def send_password_link(user: User, *, base_url: str) -> None:
    """Send the link, in the user's language. What does not leave can be asked for again: it is only logged."""
    chosen = find_chosen(user.pk)
    envelope = Envelope(
        address=CHANNELS[EMAIL].address_of(Recipient(email=user.email)),
        rendered=_write(user, language=chosen.reads if chosen else settings.LANGUAGE_CODE, base_url=base_url),
        sender=chosen.organisation if chosen else SENDER,
        message_id=make_msgid(domain=settings.MESSAGE_ID_DOMAIN),
        written_at=timezone.now(),
    )
    try:
        with CHANNELS[EMAIL].connect() as send:
            send(envelope)
    except Undelivered as error:
        log.warning("password link not sent", event_name="password_link_not_sent", user_id=user.pk, error=error.reason)


def _write(user: User, *, language: str, base_url: str) -> RenderedMessage:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("password_reset_confirm", args=[uid, PasswordLinks().make_token(user)])
    with translation.override(language):
        subject = _("Choose a new password")
        name = user.first_name.strip()
        return RenderedMessage(
            language=language,
            subject=subject,
            short=subject,
            greeting=_("Hi %(first_name)s,") % {"first_name": name} if name else _("Hi,"),
            blocks=(
                Paragraph(text=_("Somebody has asked for a new password for your account in Nattevakt.")),
                LinkList(heading="", links=(Link(label=subject, url=base_url + path),)),
                Paragraph(text=_("The link is good for a day, and once. You log in with the name %(username)s.")
                          % {"username": user.get_username()}),
            ),
            footer=(Paragraph(text=_("Was it not you? Then do nothing: your password stays as it is.")),),
        )  # fmt: skip
