"""The organisation's own app: JSON by POST to its address, signed by the Standard Webhooks specification."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
import standardwebhooks
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from notifications import record_text
from notifications.channel import Channel, Envelope, Fault, Recipient, Refused, Send, TryLater, Unreachable

GONE = 410
TRY_LATER = {408, 425, 429}
LONGEST_WAIT_SECONDS = 24 * 3600
READ_BYTES = 4096  # of an answer; nobody looks at it, but a connection of which all is read can be used again
MOST_ADDRESSES = 3  # of a host are tried
GLOBAL_UNICAST = IPv6Network("2000::/3")  # all of IPv6 that is given out (RFC 4291); what is elsewhere is special
NAT64 = IPv6Network("64:ff9b::/96")  # how a network without IPv4 reaches it (RFC 6052)
ISATAP = (
    0x0000_5EFE  # before an IPv4 address, how a site tunnels to it (RFC 5214); one bit says that it is a public one
)
# Special too, and unknown as such to the standard library of older Pythons (RFC 6890, 7526, 9637).
NOT_GLOBAL = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))


class WebhookChannel(Channel):
    label = _("the organisation's app")
    connect_seconds = 5.0
    read_seconds = 10.0

    def address_of(self, recipient: Recipient) -> str:
        return recipient.app_url

    def host_of(self, address: str) -> str:
        return urlsplit(address).hostname or ""

    @contextmanager
    def connect(self) -> Iterator[Send]:
        with requests.Session() as session:
            session.headers["User-Agent"] = "Nattevakt"
            # Two organisations may have their apps on one host: nothing of one goes into a request of the other.
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            # A proxy would look the host up by itself, and a .netrc would send it a password.
            session.trust_env = False
            if not settings.WEBHOOK_PRIVATE_HOSTS:
                session.mount("https://", _PublicHosts())
            yield partial(self._send, session)

    def _send(self, session: requests.Session, envelope: Envelope) -> None:
        if not settings.WEBHOOK_PRIVATE_HOSTS and urlsplit(envelope.address).scheme != "https":
            raise Refused(record_text.NOT_HTTPS(), fault=Fault.OURSELVES)
        body = json.dumps(envelope.payload(), ensure_ascii=False)
        try:
            with session.post(
                envelope.address,
                data=body.encode(),
                headers={"Content-Type": "application/json", **_signature(envelope, body)},
                timeout=(self.connect_seconds, self.read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                _read_a_little(response)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Unreachable(record_text.BROKE(error=type(error).__name__)) from error
        except (requests.RequestException, ValueError) as error:  # not an address at all, or not HTTP
            raise Refused(record_text.BROKE(error=type(error).__name__), fault=Fault.OURSELVES) from error
        _judge(response, now=envelope.written_at)


def _signature(envelope: Envelope, body: str) -> dict[str, str]:
    """Return the headers by which the app knows that it is us, that it is now, and whether it has had this before."""
    message_id = envelope.message_id.strip("<>")
    signers = [standardwebhooks.Webhook(secret) for secret in envelope.secrets]
    attempted_at = envelope.written_at.astimezone(UTC)  # the package would take any other time for UTC
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(attempted_at.timestamp())),
        # One by each secret that the app may have: it takes the message if one of them is right.
        "webhook-signature": " ".join(signer.sign(message_id, attempted_at, body) for signer in signers),
    }


def _read_a_little(response: requests.Response) -> None:
    """Read what has come of the answer's body, once: an app that sends for ever holds nobody up."""
    try:
        response.raw.read1(READ_BYTES, decode_content=False)
    except (HTTPError, OSError):
        return  # the status has been read, and it is all that counts


def _judge(response: requests.Response, *, now: datetime) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    reason = record_text.APP_ANSWERED(status=status)
    if status in TRY_LATER or status >= 500:
        raise TryLater(reason, after_seconds=_retry_after(response.headers.get("Retry-After", ""), now=now))
    if status == GONE:
        raise Refused(reason, fault=Fault.OURSELVES, host_is_gone=True)
    # Whatever else it says is between the app and us: an address that moved, a secret that does not fit.
    raise TryLater(reason, fault=Fault.OURSELVES)


def _retry_after(value: str, *, now: datetime) -> float:
    """Return the seconds that a Retry-After asks for, as a number or as a date; 0 if it makes no sense."""
    try:
        if value.strip().isdecimal():
            seconds = float(int(value))
        else:
            at = parsedate_to_datetime(value)
            seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return 0
    return min(max(seconds, 0), LONGEST_WAIT_SECONDS)


class _PublicConnection(HTTPSConnection):
    """Connects to public addresses only, so that nobody makes us knock at doors inside our own network.

    The name is looked up once, and what was looked at is what is connected to. Between a check of the name and a
    connection by the name, whoever runs its DNS could change the answer.
    """

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        *first, last = _public_addresses(name, self.port)
        try:
            for self._dns_host in first:
                try:
                    return super()._new_conn()
                except HTTPError:
                    continue
            self._dns_host = last
            return super()._new_conn()
        finally:
            self._dns_host = name  # which the certificate is for


class _PublicPool(HTTPSConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicHosts(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _PublicPool}


def _public_addresses(host: str, port: int) -> list[str]:
    """Return where the host is. Raises Refused if any of it is not public, and OSError if nobody knows the name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(address) for *_, (address, *_) in found]
    if not all(_is_public(address) for address in addresses):
        raise Refused(record_text.NOT_PUBLIC(), fault=Fault.OURSELVES)
    return addresses[:MOST_ADDRESSES]


def _is_public(address: str) -> bool:
    """Say whether the address is one of the Internet; a gateway between IPv4 and IPv6 leads to the address in it."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        if parsed in NAT64:
            return _is_public(str(IPv4Address(int(parsed) & 0xFFFF_FFFF)))
        if parsed not in GLOBAL_UNICAST or parsed.sixtofour is not None or int(parsed) >> 32 & 0xFDFF_FFFF == ISATAP:
            return False
    return parsed.is_global and not parsed.is_multicast and not any(parsed in network for network in NOT_GLOBAL)


CHANNEL = WebhookChannel()
