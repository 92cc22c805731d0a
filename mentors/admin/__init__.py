"""The desk for people: mentors, organisations, and who logs in."""

from mentors.admin import organisations, people, security

__all__ = ["organisations", "people", "security"]
