"""The security trail: one row for each thing that happens to an account, in the transaction in which it happens.

Who asks, from where and by what is read from the request of this thread, which a middleware keeps: most that is
recorded happens in places that know no request, as where a password is saved. Without a request it is a command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pgtrigger
import structlog
from axes.helpers import get_client_ip_address
from django.conf import settings
from django.db import transaction
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from mentors.accounts.user_agents import describe_device
from mentors.models import CoordinatorRole, Organisation, SecurityEvent, SecurityEventQuerySet, User

log = structlog.get_logger(__name__)

Kind, Door = SecurityEvent.Kind, SecurityEvent.Door
GetResponse = Callable[[HttpRequest], HttpResponseBase]

event_recorded = Signal()  # arguments: event, old_email. Apps above tell its owner.

AT_ONCE = 5000  # rows removed in one transaction
# What anybody can bring about as often as they like: of one address and account, one row a minute.
ENDLESS = {Kind.LOGIN_LOCKED, Kind.PASSWORD_LINK_ASKED}
A_WHILE = timedelta(minutes=1)

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def remember_request(get_response: GetResponse) -> GetResponse:
    """A Django middleware: keep the request for what is recorded while it is answered."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        token = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(token)

    return answer


def record_event(
    kind: SecurityEvent.Kind,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: User | None = None,
    organisation: Organisation | None = None,
    token: str = "",
    facts: dict[str, Any] | None = None,
    old_email: str = "",
) -> SecurityEvent | None:
    """Write down what happened to the user's account; of a role, with its organisation.

    `request` and `actor` are found where they are not given. `old_email` is not kept: it is told, too. Return None for
    what has just been recorded, and can be repeated without end.
    """
    request = request or _request.get()
    event = SecurityEvent(
        at=timezone.now(),
        kind=kind,
        door=_door(request),
        user=user,
        actor=actor or _find_actor(request, user),
        organisation=organisation,
        organisations=[organisation.pk] if organisation else _organisations_of(user),
        address=_address(request),
        device=describe_device(request.META.get("HTTP_USER_AGENT", "")) if request else "",
        token=token,
        facts=facts or {},
    )
    if _is_repeated(event):
        return None
    event.save(force_insert=True)
    event_recorded.send(sender=SecurityEvent, event=event, old_email=old_email)
    return event


def find_old_events(*, now: datetime) -> SecurityEventQuerySet:
    """Return the events that are no longer kept."""
    return SecurityEvent.objects.filter(at__lt=now - timedelta(days=settings.SECURITY_DAYS))


def prune_events(*, now: datetime) -> int:
    """Remove what is no longer kept; return how many events that were. It may be stopped at any time, and repeated."""
    pruned = 0
    while lot := _prune_some(now=now):
        pruned += lot
    log.info("security events pruned", event_name="security_events_pruned", events=pruned)
    return pruned


@transaction.atomic
def _prune_some(*, now: datetime) -> int:
    old = find_old_events(now=now).order_by("at").values("pk")[:AT_ONCE]
    with pgtrigger.ignore("mentors.SecurityEvent:append_only"):
        removed, _by_model = SecurityEvent.objects.filter(pk__in=old).delete()
    return removed


def _is_repeated(event: SecurityEvent) -> bool:
    if event.kind not in ENDLESS and not (event.kind == Kind.LOGIN_FAILED and event.user_id is None):
        return False
    lately = SecurityEvent.objects.filter(at__gt=event.at - A_WHILE, at__lte=event.at, kind=event.kind)
    return lately.filter(user=event.user_id, address=event.address).exists()


def _door(request: HttpRequest | None) -> SecurityEvent.Door:
    if request is None:
        return Door.COMMAND
    return Door.API if request.path.startswith("/api/") else Door.DESK


def _find_actor(request: HttpRequest | None, user: User | None) -> User | None:
    """Return who is logged in, unless it is the account's owner."""
    who = getattr(request, "user", None)
    return who if who is not None and who.is_authenticated and user and who.pk != user.pk else None


def _organisations_of(user: User | None) -> list[int]:
    if user is None or user.pk is None:
        return []
    roles: Iterable[int] = CoordinatorRole.objects.filter(user=user.pk).values_list("organisation", flat=True)
    return sorted(set(roles))


def _address(request: HttpRequest | None) -> str | None:
    """Return the address as the lock on guessing knows it; a proxy may have written anything there."""
    address = get_client_ip_address(request) if request else None
    try:
        return str(ip_address(address)) if address else None
    except ValueError:
        return None
