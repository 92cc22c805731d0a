"""Who: organisations, chapters, coordinators, mentors, and every change of a mentor's status."""

from mentors.models.devices import AuthenticatorApp
from mentors.models.lookups import AnyOf
from mentors.models.organisations import (
    LANGUAGES,
    Chapter,
    ChapterQuerySet,
    CoordinatorRole,
    Invitation,
    Organisation,
    User,
    default_reminder_days,
    is_timezone,
    validate_timezone,
)
from mentors.models.people import Mentor, MentorQuerySet, StatusChange, ids_if_few, validate_phone
from mentors.models.security import SecurityEvent, SecurityEventQuerySet
from mentors.models.sessions import Session

__all__ = [
    "LANGUAGES",
    "AnyOf",
    "AuthenticatorApp",
    "Chapter",
    "ChapterQuerySet",
    "CoordinatorRole",
    "Invitation",
    "Mentor",
    "MentorQuerySet",
    "Organisation",
    "SecurityEvent",
    "SecurityEventQuerySet",
    "Session",
    "StatusChange",
    "User",
    "default_reminder_days",
    "ids_if_few",
    "is_timezone",
    "validate_phone",
    "validate_timezone",
]
