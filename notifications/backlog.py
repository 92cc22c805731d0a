"""Do messages leave? What should have left long ago and is still here, and what was given up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Min, Q, QuerySet
from django.db.models.functions import Coalesce

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
MANY_GIVEN_UP, LARGE_SHARE, NEARLY_ALL = 20, 0.2, 0.9
GIVEN_UP = Q(status__in=Notification.DEAD_LETTERS) | ~Q(given_up=[])

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
    """Return what was given up for what is ours or a provider's to mend; none if it is little.

    It is much by count or by share, of all or of what one organisation sends by one channel. What is said to be the
    recipients' fault counts where nearly all are refused: so many cannot have moved. A message that went another way
    counts too, for its first way is as closed as for the others.
    """
    recent = Notification.objects.filter(created_at__gt=now - GIVEN_UP_WITHIN, created_at__lte=now).order_by()
    if not recent.exclude(fault="").filter(GIVEN_UP).exists():
        return None
    ours = GIVEN_UP & Q(fault__in=[Fault.OURSELVES, Fault.PROVIDER])
    to_be_sent = recent.exclude(channel=INBOX).exclude(status=Notification.Status.CANCELLED)
    groups = to_be_sent.values("organisation", way=Coalesce(F("given_up__0"), F("channel"))).annotate(
        total=Count("pk"),
        ours=Count("pk", filter=ours),
        ours_since=Min("created_at", filter=ours),
        all=Count("pk", filter=GIVEN_UP),
        all_since=Min("created_at", filter=GIVEN_UP),
    )
    found = [refusals for group in groups if (refusals := _refusals_of(group))]
    total = sum(group["total"] for group in groups)
    count = sum(refusals.count for refusals in found)
    if count < MANY_GIVEN_UP and count < total * LARGE_SHARE:  # of all; then by organisation and channel
        found = [refusals for refusals in found if 1 < refusals.count >= refusals.total * LARGE_SHARE]
        count, total = sum(refusals.count for refusals in found), sum(refusals.total for refusals in found)
    return Refusals(count=count, total=total, since=min(refusals.since for refusals in found)) if found else None


def _refusals_of(group: Mapping[str, Any]) -> Refusals | None:
    """Return what counts of what an organisation sends by a channel."""
    counted = "all" if group["all"] >= max(MANY, group["total"] * NEARLY_ALL) else "ours"
    if not group[counted]:
        return None
    return Refusals(count=group[counted], total=group["total"], since=group[f"{counted}_since"])


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
