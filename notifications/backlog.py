"""Do messages leave? What should have left long ago and is still here, and what was given up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from mentors.models import Organisation
from notifications import record_text
from notifications.channel import Fault
from notifications.channels import CHANNELS, INBOX
from notifications.models import Notification

# A mail server that greylists takes a message at its second or third attempt, within ten minutes.
PATIENCE = timedelta(minutes=30)
# One recipient's full mailbox is no outage. As many as this that are put off at the same time are.
MANY = 5
# A mail server's "not now" is about one message; all else is about the server.
ABOUT_ONE_MESSAGE = Q(error__contains=[{"code": record_text.NOT_NOW.code}])

# So long back goes a message that is given up by now: its last attempt was a day and some hours after its first.
GIVEN_UP_WITHIN = timedelta(days=3)
# So many, or such a share of all, given up for what is ours or a provider's to mend, are an outage.
MANY_GIVEN_UP, LARGE_SHARE = 20, 0.2

WAITING = (Notification.Status.QUEUED, Notification.Status.SENDING)


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How many messages should have left long ago, and since when the oldest of them waits."""

    count: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """How many messages of the last days were given up, though their recipients are there, of how many in all."""

    count: int
    total: int
    since: datetime


def find_refusals(*, now: datetime) -> Refusals | None:
    """Return what was given up for what is ours or a provider's to mend, by count or by share; none if it is little.

    A message that went another way then counts too: its first way is as closed as for the others.
    """
    recent = Notification.objects.filter(created_at__gt=now - GIVEN_UP_WITHIN, created_at__lte=now).order_by()
    ours = recent.filter(fault__in=[Fault.OURSELVES, Fault.PROVIDER])
    given_up = ours.filter(Q(status__in=Notification.DEAD_LETTERS) | ~Q(given_up=[]))
    found = given_up.aggregate(count=Count("pk"), since=Min("created_at"))
    if not found["count"]:
        return None
    total = recent.exclude(channel=INBOX).exclude(status=Notification.Status.CANCELLED).count()
    if found["count"] < MANY_GIVEN_UP and found["count"] < total * LARGE_SHARE:
        return None
    return Refusals(count=found["count"], total=total, since=found["since"])


def find_backlog(*, now: datetime) -> Backlog | None:
    """Return what has waited for longer than half an hour, in two questions; none if messages leave.

    Either nobody has taken it up, or it was tried again and again, and its next attempt lies ahead. What waits for its
    organisation's sending hours, or for a host's rate, is in no backlog.
    """
    waiting = Notification.objects.filter(status__in=WAITING).order_by()
    untouched = waiting.filter(next_attempt_at__lte=now - PATIENCE)
    found = untouched.aggregate(count=Count("pk"), since=Min("next_attempt_at"))
    groups = [(found["count"], found["since"])] if found["count"] else []
    groups += [(count, since) for count, since in _first_due(_tried_again(waiting, now=now)) if since <= now - PATIENCE]
    if not groups:
        return None
    return Backlog(count=sum(count for count, _since in groups), since=min(since for _count, since in groups))


def _tried_again(waiting: QuerySet[Notification], *, now: datetime) -> list[dict[str, Any]]:
    tried = waiting.filter(attempts__gte=2, created_at__lte=now - PATIENCE, next_attempt_at__gt=now - PATIENCE)
    groups = tried.values("organisation", "channel").annotate(
        count=Count("pk"),
        oldest=Min("created_at"),
        about_all=Count("pk", filter=~ABOUT_ONE_MESSAGE),
    )
    return [dict(group) for group in groups]


def _first_due(groups: Sequence[dict[str, Any]]) -> Iterator[tuple[int, datetime]]:
    """Yield how many of a group wait, and when its oldest was first due: within the sending hours, if it keeps them."""
    found = [group for group in groups if group["about_all"] or group["count"] >= MANY]
    organisations = Organisation.objects.in_bulk({group["organisation"] for group in found}) if found else {}
    for group in found:
        keeps_hours = group["channel"] not in CHANNELS or CHANNELS[group["channel"]].keeps_hours
        oldest: datetime = group["oldest"]
        since = organisations[group["organisation"]].next_sending_time(oldest) if keeps_hours else oldest
        yield group["count"], since
