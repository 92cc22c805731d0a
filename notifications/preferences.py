"""How coordinators want to be told, as they choose it by the link in a message, without a login."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from mentors.models import CoordinatorRole
from notifications.models import Preference

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class EffectivePreference:
    """What a coordinator has chosen; empty: as the organisation chose."""

    organisation: str  # the name of the one that she has coordinated longest
    mail: str = ""
    language: str = ""
    reads: str  # the language in which she is told


def find_chosen(user_id: int) -> EffectivePreference | None:
    """Return what the user has chosen; None if that is nobody who looks after mentors (any more)."""
    roles = CoordinatorRole.objects.filter(
        user=user_id, user__is_active=True, duty=CoordinatorRole.Duty.COORDINATOR
    ).select_related("organisation", "user__preference")
    role = roles.order_by("pk").first()
    if role is None:
        return None
    organisation = role.organisation
    preference: Preference | None = getattr(role.user, "preference", None)
    if preference is None:
        return EffectivePreference(organisation=organisation.name, reads=organisation.language)
    return EffectivePreference(
        organisation=organisation.name,
        mail=preference.mail,
        language=preference.language,
        reads=preference.language or organisation.language,
    )


def choose(user_id: int, *, mail: str, language: str) -> None:
    """Keep a coordinator's choice; the channel and its address stay as they are."""
    _save(Preference(user_id=user_id, mail=mail, language=language), ["mail", "language"])


def stop_summaries(user_id: int) -> None:
    """Write no more summaries to the coordinator, who is still told what needs somebody."""
    _save(Preference(user_id=user_id, mail=Preference.Mail.NEVER), ["mail"])


def _save(preference: Preference, fields: list[str]) -> None:
    """Write the fields, whether there is a row yet or not, in one statement: two at once do not fail."""
    Preference.objects.bulk_create([preference], update_conflicts=True, unique_fields=["user"], update_fields=fields)
    log.info("preference changed", event_name="preference_changed", user_id=preference.user_id, fields=fields)
