"""E-mail through Django's backend: SMTP, or a provider's API by django-anymail. One connection a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formataddr, parseaddr
from smtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from typing import Any
from uuid import uuid4

from anymail.exceptions import AnymailAPIError, AnymailError, AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.translation import gettext_lazy as _

from notifications import record_text
from notifications.channel import (
    Channel,
    Envelope,
    Fault,
    Recipient,
    Refused,
    Send,
    TryLater,
    Undelivered,
    Unreachable,
)
from notifications.rendered_message import as_html, as_text
from notifications.replies import OURS_LATER, sort_reply


class Email(Channel):
    label = _("e-mail")

    def address_of(self, recipient: Recipient) -> str:
        return recipient.email

    def host_of(self, address: str) -> str:
        """Return the server that takes the mail over; where it goes from there is not ours to limit."""
        return settings.EMAIL_PROVIDER or settings.EMAIL_HOST

    @contextmanager
    def connect(self) -> Iterator[Send]:
        connection = get_connection()
        try:
            connection.open()
        except SMTPAuthenticationError as error:
            raise Unreachable(record_text.BROKE(error=_name(error)), fault=Fault.OURSELVES) from error
        except (OSError, SMTPException, AnymailError) as error:
            raise Unreachable(record_text.BROKE(error=_name(error))) from error

        def send(envelope: Envelope) -> None:
            _send(connection, envelope)

        try:
            yield send
        except BaseException:
            smtp = getattr(connection, "connection", None)
            with suppress(Exception):  # it may not answer any more: no polite goodbye
                smtp.close() if smtp is not None else connection.close()
            raise
        with suppress(OSError, SMTPException):
            connection.close()


def _send(connection: BaseEmailBackend, envelope: Envelope) -> None:
    try:
        _as_mail(envelope, connection).send()
    except SMTPRecipientsRefused as error:
        raise _answer(*next(iter(error.recipients.values())), envelope, is_about_recipient=True) from error
    except SMTPSenderRefused as error:
        raise _answer(error.smtp_code, error.smtp_error, envelope, is_about_sender=True) from error
    except (SMTPConnectError, SMTPServerDisconnected) as error:
        raise Unreachable(record_text.BROKE(error=_name(error))) from error
    except SMTPResponseException as error:
        raise _answer(error.smtp_code, error.smtp_error, envelope) from error
    except AnymailRecipientsRefused as error:
        # The provider's report says whether the address is bad, or on a list: notifications/bounces.py.
        raise Refused(record_text.PROVIDER_REFUSED()) from error
    except AnymailAPIError as error:
        raise _answer_of_provider(error) from error
    except (AnymailError, ValueError) as error:  # an address or a header that cannot be written
        raise Refused(record_text.BROKE(error=_name(error))) from error
    except OSError as error:
        raise Unreachable(record_text.BROKE(error=_name(error))) from error


class Mail(EmailMultiAlternatives):
    """A mail whose boundary we choose: to look for one that is in no text takes a fifth of the time to write it."""

    def message(self, **options: Any) -> Any:
        message = super().message(**options)
        message.set_boundary(f"=_{uuid4().hex}")
        return message


def _as_mail(envelope: Envelope, connection: BaseEmailBackend) -> Mail:
    headers = {
        "Message-ID": envelope.message_id,
        "Content-Language": envelope.rendered.language,
        "Auto-Submitted": "auto-generated",  # RFC 3834: no absence notes, please
    }
    if envelope.unsubscribe_url:
        headers |= {
            "List-Unsubscribe": f"<{envelope.unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",  # RFC 8058
        }
    sender = formataddr((envelope.sender, parseaddr(settings.DEFAULT_FROM_EMAIL)[1]))
    mail = Mail(
        envelope.rendered.subject,
        as_text(envelope.rendered),
        from_email=sender,
        to=[envelope.address],
        connection=connection,
        headers=headers,
    )
    mail.attach_alternative(as_html(envelope.rendered), "text/html")
    # By django-anymail the provider's reports carry it back (notifications/bounces.py); SMTP has the Message-ID.
    mail.metadata = {"message_id": envelope.message_id}  # type: ignore[attr-defined]
    return mail


def _answer(
    code: int, said: bytes | str, envelope: Envelope, *, is_about_recipient: bool = False, is_about_sender: bool = False
) -> Undelivered:
    """Return what a server's answer means: later, never, or goodbye (421); by whose fault it is."""
    words = said.decode(errors="replace") if isinstance(said, bytes) else said
    clean = words  # but for the recipient
    for personal in filter(None, (envelope.address, envelope.address.partition("@")[0])):
        clean = re.sub(re.escape(personal), "…", clean, flags=re.IGNORECASE)
    answer = f"{code} {clean}"[:500]
    verdict = OURS_LATER if is_about_sender else sort_reply(code, _without(envelope.address, words))
    if code == 421:
        return Unreachable(record_text.MAIL_SERVER_SAID(answer=answer), fault=verdict.fault)
    if code < 500:
        return TryLater(record_text.NOT_NOW(answer=answer), fault=verdict.fault)
    if not verdict.for_good:
        return TryLater(record_text.MAIL_SERVER_SAID(answer=answer), fault=verdict.fault)
    return Refused(record_text.MAIL_SERVER_SAID(answer=answer), bad_address=is_about_recipient and verdict.bad_address)


def _without(address: str, words: str) -> str:
    """Return the words without the address and its parts, where those are not parts of other words."""
    local, _at, domain = address.partition("@")
    names = "|".join(re.escape(name) for name in (address, domain, local) if name)
    return re.sub(rf"(?<![\w.-])({names})(?![\w-])", "…", words, flags=re.IGNORECASE)


def _answer_of_provider(error: AnymailAPIError) -> TryLater | Unreachable:
    status = getattr(error, "status_code", None)
    if status is None:
        return Unreachable(record_text.BROKE(error=_name(error)))
    # Of a recipient it says so by AnymailRecipientsRefused, or in a report: all else is theirs or ours to mend.
    fault = Fault.PROVIDER if status in {408, 429} or status >= 500 else Fault.OURSELVES
    return TryLater(record_text.PROVIDER_ANSWERED(status=status), fault=fault)


def _name(error: Exception) -> str:
    return type(error).__name__


CHANNEL = Email()
