"""A coordinator's calendar of what expires, at an address that needs no login and can be revoked.

The address has a secret of which only the digest is kept: it is shown once, and what is looked up is the digest, so
that the time which a look takes says nothing of any secret.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import IntegerField, OuterRef, QuerySet
from django.db.models.functions import Cast
from django.dispatch import receiver
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from icalendar import Calendar, Event, vDuration

from certifications.models import CalendarFeed, Certification
from mentors.accounts.access import access_ended, lock_account
from mentors.accounts.scope import Permission, Scope
from mentors.accounts.security_trail import Kind, record_event
from mentors.models import Mentor, User
from mentors.validators import in_one_line
from notifications.preferences import find_chosen

log = structlog.get_logger(__name__)

BACK, AHEAD = timedelta(days=30), timedelta(days=400)
MOST = 1000  # events: about 250 kB, and 0.2 seconds of writing
FRESH_FOR = timedelta(hours=6)
SHOWN = (
    "pk", "number", "expires_on", "updated_at", "type__name", "type__organisation__valid_through_expiry_day",
    "mentor_id", "mentor__name", "mentor__chapter__name",
)  # fmt: skip


@transaction.atomic
def make_feed(user: User, *, now: datetime) -> str:
    """Give the user's calendar a new address, whose secret is returned here and never again; an old one ends.

    Raises AccessEnded and NoRole.
    """
    token = secrets.token_urlsafe(32)
    lock_account(user)
    CalendarFeed.objects.update_or_create(user=user, defaults={"digest": _digest(token), "created_at": now})
    record_event(Kind.CALENDAR_MADE, user=user)
    log.info("calendar address made", event_name="calendar_address_made", user_id=user.pk)
    return token


@receiver(access_ended)
def end_feed(user: User, **_kwargs: Any) -> None:
    CalendarFeed.objects.filter(user=user).delete()


@transaction.atomic
def revoke_feed(user: User) -> bool:
    """End the address of the user's calendar; say whether there was one."""
    ended, _rows = CalendarFeed.objects.filter(user=user).delete()
    if ended:
        record_event(Kind.CALENDAR_REVOKED, user=user)
    log.info("calendar address revoked", event_name="calendar_address_revoked", user_id=user.pk, had_one=bool(ended))
    return bool(ended)


def find_feed_owner(token: str) -> User | None:
    """Return whose calendar it is; None if the address is nobody's, or of somebody who looks after nobody any more."""
    feed = CalendarFeed.objects.select_related("user").filter(digest=_digest(token)).first()
    return feed.user if feed and Scope.of(feed.user).may(Permission.COORDINATE) else None


def build_calendar(user: User, *, now: datetime) -> bytes:
    """Write, in the user's language, a day for each certification that expires among the mentors whom they see."""
    expiring = list(find_expiring(user, on=now.date())[: MOST + 1])
    chosen = find_chosen(user.pk)
    with translation.override(chosen.reads if chosen else settings.LANGUAGE_CODE):
        calendar = _open(user, of=chosen.organisation if chosen else "Nattevakt", is_cut=len(expiring) > MOST)
        for row in expiring[:MOST]:
            calendar.add_component(_event(row))
        return bytes(calendar.to_ical(sorted=False))


def find_expiring(user: User, *, on: date) -> QuerySet[Certification, Any]:
    """Return what the calendar shows, soonest first: not what is renewed, nor of a mentor who has ended.

    As rows, and not as models: of each certification five of these would be made, which takes longer than to find it.
    """
    one_day = Cast(OuterRef("type__organisation__valid_through_expiry_day"), IntegerField())
    return (
        Certification.objects.in_force()
        .filter(Scope.of(user).mentors("mentor"), expires_on__range=(on - BACK, on + AHEAD))
        .exclude(mentor__status=Mentor.Status.ENDED)
        .unless_superseded(one_day)
        .order_by("expires_on", "pk")
        .values_list(*SHOWN, named=True)
    )


def _open(user: User, *, of: str, is_cut: bool) -> Calendar:
    """Begin the calendar; what follows from nothing but the user, so that it is the same at every look."""
    said = _("Of the mentors whom you look after, for %(days)d days ahead.") % {"days": AHEAD.days}
    if is_cut:
        said += " " + _("There are more: these are the first %(count)d.") % {"count": MOST}
    calendar = Calendar.new(
        prodid="-//Nattevakt//Nattevakt//EN",
        uid=f"expiries-{user.pk}@{settings.MESSAGE_ID_DOMAIN}",
        # In one line: the older of the two properties that the library writes it to knows no other.
        name=_("Certifications that expire – %(organisation)s") % {"organisation": in_one_line(of)},
        description=said,
    )
    # RFC 7986 asks for the parameter, which the library's own setter leaves out; the second is for older programs.
    calendar.add("refresh-interval", vDuration(FRESH_FOR), parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", vDuration(FRESH_FOR))
    return calendar


def _event(row: Any) -> Event:
    event = Event()
    event.add("uid", f"certification-{row.pk}@{settings.MESSAGE_ID_DOMAIN}")
    event.add("dtstamp", row.updated_at)
    is_valid_then = row.type__organisation__valid_through_expiry_day
    last_valid_day = row.expires_on - timedelta(days=0 if is_valid_then else 1)
    event.add("dtstart", last_valid_day)  # without an end: that one day
    type, mentor = in_one_line(row.type__name), in_one_line(row.mentor__name)
    event.add("summary", _("%(type)s expires: %(mentor)s") % {"type": type, "mentor": mentor})
    facts = [_("Number: %(number)s") % {"number": in_one_line(row.number)}] if row.number else []
    facts.append(_("Chapter: %(chapter)s") % {"chapter": in_one_line(row.mentor__chapter__name)})
    if settings.PUBLIC_URL:
        facts.append(settings.PUBLIC_URL + reverse("admin:mentors_mentor_change", args=[row.mentor_id]))
    event.add("description", "\n".join(facts))
    event.add("status", "CONFIRMED")
    event.add("transp", "TRANSPARENT")  # nobody is busy because of it
    return event


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
