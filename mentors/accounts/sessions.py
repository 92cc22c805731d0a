"""Where sessions are kept: in the database, each with its user, so that they can be shown and ended.

A session ends at SESSION_HOURS after the login, and after SESSION_IDLE_MINUTES without a request.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends import db
from django.db.models import Q, QuerySet
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from mentors.accounts.user_agents import describe_device
from mentors.models import Session, User

BEGAN, DEVICE = "began", "device"  # in a session
SEEN_TO = timedelta(minutes=1)  # how exactly it is known when a session was last seen: no write at every request


class SessionStore(db.SessionStore):
    """Django's, which also knows the user and when the session was last seen. Named by SESSION_ENGINE."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    @classmethod
    def clear_expired(cls) -> None:
        now = timezone.now()
        Session.objects.filter(Q(expire_date__lt=now) | Q(user__isnull=False, seen_at__lte=now - _idle())).delete()

    def create_model_instance(self, data: Any) -> Session:
        row: Session = super().create_model_instance(data)  # type: ignore[assignment]  # of the class above
        row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.device = data.get(DEVICE, "")
        row.seen_at = timezone.now()
        row.began_at = datetime.fromisoformat(data[BEGAN]) if BEGAN in data else row.seen_at
        return row

    def _get_session_from_db(self) -> Session | None:
        row: Session | None = super()._get_session_from_db()  # type: ignore[misc]  # not in the stubs
        if row is None or row.user_id is None:
            return row
        unseen = timezone.now() - row.seen_at
        if unseen >= _idle():
            row.delete()
            self._session_key = None  # as Django's own does of one that has expired
            return None
        if unseen >= SEEN_TO:
            Session.objects.filter(pk=row.pk).update(seen_at=timezone.now())
        return row


def find_sessions(user: User, *, now: datetime) -> QuerySet[Session]:
    """Return the user's sessions that still let in, the one used last first."""
    return user.sessions.filter(expire_date__gt=now, seen_at__gt=now - _idle()).order_by("-seen_at")


@receiver(user_logged_in)
def describe_session(request: HttpRequest, **_kwargs: Any) -> None:
    """Keep in the session when it began and on what device, for the page on which its owner finds it."""
    request.session[BEGAN] = timezone.now().isoformat()
    request.session[DEVICE] = describe_device(request.META.get("HTTP_USER_AGENT", ""))


def _idle() -> timedelta:
    return timedelta(minutes=settings.SESSION_IDLE_MINUTES)
