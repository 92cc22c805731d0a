"""The desk for certifications, their types, exemptions and rosters."""

from certifications.admin import certifications, extensions

__all__ = ["certifications", "extensions"]
