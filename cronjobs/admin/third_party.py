"""What other packages put on the desk by themselves, asking Django's permissions: two queries on every page.

Tokens and second factors are nobody's to look at here. Locked logins are for operations, who let somebody in again by
deleting the attempts.
"""

from __future__ import annotations

from axes.admin import AccessAttemptAdmin, AccessFailureLogAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django_otp.plugins.otp_static import admin as _otp_static  # noqa: F401  # registers before it is taken off
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp import admin as _otp_totp  # noqa: F401
from django_otp.plugins.otp_totp.models import TOTPDevice
from knox import admin as _knox  # noqa: F401
from knox.models import AuthToken

from cronjobs.admin.beat import ForOperations

for model in (AccessAttempt, AccessFailureLog, AccessLog, AuthToken, StaticDevice, TOTPDevice):
    admin.site.unregister(model)


class Recorded(ForOperations):
    """What happened: it may be deleted, and nobody makes it up."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AccessAttempt)
class AccessAttemptDesk(Recorded, AccessAttemptAdmin):  # type: ignore[misc]  # axes has no types
    """Logins that failed, and are counted."""


@admin.register(AccessFailureLog)
class AccessFailureLogDesk(Recorded, AccessFailureLogAdmin):  # type: ignore[misc]  # axes has no types
    """Every login that failed."""


@admin.register(AccessLog)
class AccessLogDesk(Recorded, AccessLogAdmin):  # type: ignore[misc]  # axes has no types
    """Who came and went."""
