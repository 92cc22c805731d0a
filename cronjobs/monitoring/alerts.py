"""How operations are told: straight from the process that noticed, past Redis, the workers and the message queue.

Two kinds of routes, each tried by itself: e-mail to OPERATIONS_EMAIL, and every address in ALERT_URLS (Apprise).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from smtplib import SMTPResponseException

import requests
import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db.models import Max

from cronjobs.models import Alert
from cronjobs.monitoring.http_probe import answer_of
from notifications.gateway import notify, open_service

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 10  # of each step with a mail server; Apprise gives a service four


@dataclass(frozen=True, kw_only=True)
class AlertMessage:
    """What operations read."""

    subject: str
    body: str


class SendFailed(Exception):
    """A route did not take a message; the message says why, and holds no address."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way to operations. Its name has neither an address nor a password; `send` raises whatever went wrong."""

    name: str
    send: Callable[[AlertMessage], None]


def routes() -> list[Route]:
    """Return the ways that the settings name: `email`, `apprise:slack`, and a second one as `apprise:slack:2`."""
    found = [Route(name="email", send=_send_mail)] if settings.OPERATIONS_EMAIL else []
    schemes: list[str] = []
    for url in settings.ALERT_URLS:
        scheme = url.partition("://")[0].lower()
        schemes.append(scheme)
        number = schemes.count(scheme)
        name = f"apprise:{scheme}" + (f":{number}" if number > 1 else "")
        found.append(Route(name=name[:100], send=partial(_send_by_apprise, url)))
    return found


def last_proofs() -> dict[str, datetime]:
    """Return when each route that ever worked last took an alert."""
    proofs = Alert.objects.filter(error="").order_by().values_list("route").annotate(Max("at"))
    return dict(proofs)


class AlertSender:
    """Takes the letters of one round. A route that fails is left out for the rest of it, so that a round ends."""

    def __init__(self) -> None:
        self.routes = routes()
        self._left = list(self.routes)

    @property
    def has_given_up(self) -> bool:
        """Whether there were routes, and none is left to be tried."""
        return bool(self.routes) and not self._left

    def send(self, message: AlertMessage) -> dict[str, str]:
        """Try the routes that are left; return for each why it did not take the message: nothing, if it did."""
        errors = {route.name: _attempt(route, message) for route in self._left}
        self._left = [route for route in self._left if not errors[route.name]]
        return errors


def ping(url: str) -> bool:
    """Say that all is well to whoever notices when that stays away; return whether it was heard."""
    try:
        status = answer_of(url)
    except requests.RequestException as error:
        # Its text has the address, and that is a secret: who knows it can say that all is well.
        log.warning("heartbeat not heard", event_name="heartbeat_not_heard", error=type(error).__name__)
        return False
    if status >= 400:
        log.warning("heartbeat not heard", event_name="heartbeat_not_heard", error=f"answered {status}")
    return status < 400


def _attempt(route: Route, message: AlertMessage) -> str:
    try:
        route.send(message)
    except Exception as error:
        # One route's trouble must not keep the others from being tried.
        # Nor do the words of a server go on, which may repeat an address.
        reason = str(error) if isinstance(error, SendFailed) else type(error).__name__
        if isinstance(error, SMTPResponseException):
            reason += f" {error.smtp_code}"
        log.error("alert not sent", event_name="alert_not_sent", route=route.name, error=reason)
        return reason
    log.info("alert sent", event_name="alert_sent", route=route.name)
    return ""


def _send_mail(message: AlertMessage) -> None:
    connection = get_connection(timeout=TIMEOUT_SECONDS)
    headers = {"Auto-Submitted": "auto-generated"}  # RFC 3834: no absence notes, please
    EmailMessage(
        message.subject, message.body, to=[settings.OPERATIONS_EMAIL], connection=connection, headers=headers
    ).send()


def _send_by_apprise(url: str, message: AlertMessage) -> None:
    service = open_service(url, "")
    if service is None:
        raise SendFailed("It is not an address that Apprise can read.")
    if failure := notify(service, title=message.subject, body=message.body, splits=True):
        raise SendFailed(failure.reason)
