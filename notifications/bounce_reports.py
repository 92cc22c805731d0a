"""What mail servers and mail providers report of messages that have left, read into one form.

Nothing is believed here: a report is anybody's text until notifications/bounces.py has found the message it is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.parser import BytesHeaderParser, HeaderParser
from email.policy import compat32
from email.utils import getaddresses
from enum import Enum, auto
from itertools import islice
from typing import Any

from anymail.signals import EventType, RejectReason

from notifications.replies import ENHANCED_CODE, NOBODY_IN_WORDS, NOT_THE_ADDRESS, OF_THE_ADDRESS

LONGEST = 256 * 1024  # bytes of a report that are read; ours come back in a tenth of it
LONGEST_HEADER = 1000
DEEPEST = 20  # parts within parts; each makes the parser slower at every line
MANY = 10  # recipients, or Message-IDs, of one report; ours have one of each

STATUS_TYPES = {"message/delivery-status", "message/global-delivery-status"}
RETURNED_TYPES = {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")
BLANK_LINE = re.compile(r"\r?\n[ \t]*\r?\n")

# How providers spell that the next message may arrive.
SOFT = re.compile(r"soft[ _-]?bounce|transient|temporar|quota|mailbox ?full", re.IGNORECASE)


class Outcome(Enum):
    DELAYED = auto()  # the server is still trying
    LOST = auto()  # given up, for a reason that says nothing of the next message
    BAD_ADDRESS = auto()  # given up, and so it will be with the next message
    UNWANTED = auto()  # it arrived, and the reader reported it as spam


@dataclass(frozen=True, kw_only=True)
class DeliveryReport:
    """What became of one message for one recipient, as somebody says."""

    message_ids: tuple[str, ...]  # of the message, the likeliest first
    addresses: tuple[str, ...]  # of the recipient: where it was sent, and where it was forwarded
    outcome: Outcome
    reason: str  # may hold anything, addresses too


def read_reports(raw: bytes) -> list[DeliveryReport]:
    """Return what a delivery status notification (RFC 3464) says; any other message is none, and says nothing.

    Never raises, whatever it is given; what is longer than LONGEST is cut off.
    """
    raw = raw[:LONGEST]
    if raw.lower().count(b"boundary") > DEEPEST:
        return []
    try:
        return _read_notification(message_from_bytes(raw, policy=compat32))
    except Exception:
        # Written to break the parser (nested too deep, a header that is none): not a report that a server makes.
        return []


def read_event(event: Any) -> DeliveryReport | None:
    """Return what a provider reports (django-anymail's tracking event), or None if it is no bounce of a message."""
    metadata = event.metadata if isinstance(event.metadata, dict) else {}
    message_id = metadata.get("message_id")  # notifications/channels/email.py puts it there
    outcome = _outcome_of_event(event)
    if outcome is None or not isinstance(message_id, str) or not event.recipient:
        return None
    if outcome == Outcome.UNWANTED:
        reason = "the reader reported a message as spam"
    else:
        reason = str(event.mta_response or event.description or event.reject_reason or event.event_type)
    return DeliveryReport(
        message_ids=(message_id.strip(),), addresses=(str(event.recipient).strip(),), outcome=outcome, reason=reason
    )


def _read_notification(message: Message) -> list[DeliveryReport]:
    # The direct parts only: those of the message that was returned are not the mail server's words.
    parts = _parts(message)
    if message.get_content_type() != "multipart/report":
        return []
    status = next((part for part in parts if part.get_content_type() in STATUS_TYPES), None)
    if status is None:
        return []
    returned = _returned(parts)
    answered = _header(message, "In-Reply-To"), _header(message, "References")
    ids = MESSAGE_ID.findall(" ".join((_header(returned, "Message-ID"), *answered)))
    message_ids = tuple(dict.fromkeys(ids))[:MANY]
    # A server to which the message was forwarded knows another address, and returns the one in the To.
    also = [_header(message, "X-Failed-Recipients"), _header(returned, "To")]
    forwarded = [address for _name, address in getaddresses(also)]
    reports = (_read_recipient(fields, message_ids, forwarded) for fields in islice(_groups(status), 1 + MANY))
    return [report for report in reports if report is not None]


def _returned(parts: list[Message]) -> Message:
    """Return the headers of the message that was sent, or none."""
    part = next((part for part in parts if part.get_content_type() in RETURNED_TYPES), None)
    if part is None:
        return Message()
    if whole := _parts(part):
        return whole[0]
    content = part.get_payload(decode=True)
    return BytesHeaderParser(policy=compat32).parsebytes(content if isinstance(content, bytes) else b"")


def _groups(status: Message) -> Iterator[Message]:
    """Yield the groups of fields: of the message, and of each recipient."""
    for group in _parts(status):
        yield group
        rest = group.get_payload()  # of the internationalised form (RFC 6533), which the parser does not take apart
        for text in BLANK_LINE.split(rest) if isinstance(rest, str) and rest.strip() else []:
            yield HeaderParser(policy=compat32).parsestr(text.lstrip())


def _read_recipient(fields: Message, message_ids: tuple[str, ...], forwarded: list[str]) -> DeliveryReport | None:
    named = [_header(fields, name).rpartition(";")[2] for name in ("Original-Recipient", "Final-Recipient")]
    addresses = [address.strip(" <>") for address in (*named, *forwarded)]
    status, diagnostic = _header(fields, "Status"), _header(fields, "Diagnostic-Code")
    outcome = _outcome(_header(fields, "Action"), f"{status} {diagnostic}")
    if outcome is None or not any(named):
        return None
    return DeliveryReport(
        message_ids=message_ids,
        addresses=tuple(address for address in addresses if address),
        outcome=outcome,
        reason=diagnostic.partition(";")[2].strip() or diagnostic or status,
    )


def _outcome(action: str, said: str) -> Outcome | None:
    word = action.lower().split(maxsplit=1)[:1]
    if word == ["delayed"]:
        return Outcome.DELAYED
    if word != ["failed"]:  # delivered, relayed, expanded
        return None
    return Outcome.BAD_ADDRESS if is_about_address(said) else Outcome.LOST


def is_about_address(said: str) -> bool | None:
    """Say whether the codes mean that nobody is there, or None if there are none that say anything.

    A full mailbox, a server that did not answer for days, a filter that took offence: the next message may pass.
    """
    codes = [code for code in ENHANCED_CODE.findall(said) if code[1:] != ("0", "0")]
    kind, subject, detail = codes[0] if codes else ("5", "", "")
    if kind == "4" or NOT_THE_ADDRESS.search(said):
        return False
    if not subject or subject == "5":  # Outlook.com says 5.5.0
        return True if NOBODY_IN_WORDS.search(said) else None
    if subject == "1":
        return detail in OF_THE_ADDRESS
    if (subject, detail) == ("4", "1"):
        return "recipient address rejected" in said.lower()  # Exchange Online, of a recipient that it does not have
    return (subject, detail) in {("2", "1"), ("4", "4")}  # a mailbox that is closed, a domain that is not there


def _outcome_of_event(event: Any) -> Outcome | None:
    reason = event.reject_reason
    if event.event_type == EventType.COMPLAINED:
        return Outcome.UNWANTED
    if event.event_type == EventType.REJECTED:  # by the provider itself, which has the address on a list
        is_listed = reason in {RejectReason.INVALID, RejectReason.BOUNCED, RejectReason.SPAM, RejectReason.UNSUBSCRIBED}
        return Outcome.BAD_ADDRESS if is_listed and not _is_soft(event) else Outcome.LOST
    if event.event_type == EventType.FAILED:
        return Outcome.LOST
    if event.event_type != EventType.BOUNCED:  # a deferred one is tried again by the provider, and reported again
        return None
    by_code = is_about_address(str(event.mta_response or ""))
    if by_code is not None:
        return Outcome.BAD_ADDRESS if by_code else Outcome.LOST
    is_hard = reason in {RejectReason.INVALID, RejectReason.BOUNCED} and not _is_soft(event)
    return Outcome.BAD_ADDRESS if is_hard else Outcome.LOST


def _is_soft(event: Any) -> bool:
    """Whether the provider says so in its own words: django-anymail calls most of its soft bounces simply bounced."""
    own = event.esp_event.values() if isinstance(event.esp_event, dict) else ()
    said = [event.description, event.mta_response, *(value for value in own if isinstance(value, str))]
    return any(SOFT.search(words) for words in said if isinstance(words, str) and "@" not in words)


def _parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _header(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, ""))[:LONGEST_HEADER].split())
