"""The lock on guessing passwords and codes. Both doors have it, the desk's and the API's: it hangs on `authenticate`.

django-axes counts failures in the database, as Redis may lose them. After five, a name is locked for an address. A name
at which many addresses guess is slowed down for all of them: after ten failures each further attempt has to wait,
twice as long each time, a minute at most. Its owner comes in all the same with a browser that has been used before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, Sum
from django.http import HttpRequest
from django.utils import timezone

from mentors.accounts.known_devices import is_known
from mentors.models import User

FREE = 10  # failures of one name, from all addresses together
LONGEST = timedelta(minutes=1)


class LoginHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """What django-axes asks; named by AXES_HANDLER."""

    def is_locked(self, request: Any, credentials: dict[str, Any] | None = None) -> bool:
        if super().is_locked(request, credentials):
            request.login_refused = True  # unread; django-axes itself says so only after the signal
            return True
        username = str((credentials or {}).get("username") or "")
        wait = find_wait(username)
        if wait is None or _is_at_home(request, username):
            return False
        request.login_wait = wait
        request.login_refused = True
        return True

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        """Count the failure, unless it was refused unread: else who goes on and on would keep the owner out."""
        if getattr(request, "login_wait", None):
            request.axes_locked_out = True
            return
        super().user_login_failed(sender, credentials, request, **kwargs)


def find_wait(username: str) -> timedelta | None:
    """Return for how long nobody may try the name, from wherever; None if anybody may."""
    now = timezone.now()
    counted = AccessAttempt.objects.filter(username=username, attempt_time__gt=now - settings.AXES_COOLOFF_TIME)
    tried = counted.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
    excess = (tried["failures"] or 0) - FREE
    if excess < 0:
        return None
    wait = tried["last"] + min(timedelta(seconds=2 ** min(excess, 10)), LONGEST) - now
    return wait if wait > timedelta(0) else None


def _is_at_home(request: HttpRequest, username: str) -> bool:
    """Say whether it is a browser in which the owner of the name has logged in before."""
    user = User.objects.filter(username=username).first()
    return user is not None and is_known(request, user)


def wait_of(request: HttpRequest) -> timedelta:
    """Return how long a login that was refused has to wait."""
    wait: timedelta = getattr(request, "login_wait", settings.AXES_COOLOFF_TIME)
    return wait
