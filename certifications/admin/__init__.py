"""The desk for certifications, their types, exemptions and rosters."""

from certifications.admin import calendar, certifications, extensions, rosters

__all__ = ["calendar", "certifications", "extensions", "rosters"]
