"""The address of a calendar."""

from __future__ import annotations

from django.urls import reverse

from certifications.ical import make_feed
from mentors.models import User
from tests.conftest import NOW

SITE = "https://nattevakt.example"


def address_of(user: User) -> str:
    """Make the user a new address."""
    return reverse("calendar_feed", args=[make_feed(user, now=NOW)])
