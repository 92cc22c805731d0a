"""The desk for people: mentors, organisations, and who logs in."""

from mentors.admin import organisations, people

__all__ = ["organisations", "people"]
