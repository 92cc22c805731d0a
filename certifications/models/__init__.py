"""What is true: types, certifications and exemptions; and how the desk's work on many of them is kept."""

from certifications.models.certifications import (
    FIRST_DAY,
    LAST_DAY,
    REASONABLE,
    VALID_THROUGH,
    Certification,
    CertificationQuerySet,
    CertificationType,
    CertificationTypeQuerySet,
    Exemption,
    ExemptionQuerySet,
    LapsesOn,
)
from certifications.models.extensions import ExtendedCertification, Extension
from certifications.models.feeds import CalendarFeed
from certifications.models.uploads import RosterUpload

__all__ = [
    "FIRST_DAY",
    "LAST_DAY",
    "REASONABLE",
    "VALID_THROUGH",
    "CalendarFeed",
    "Certification",
    "CertificationQuerySet",
    "CertificationType",
    "CertificationTypeQuerySet",
    "Exemption",
    "ExemptionQuerySet",
    "ExtendedCertification",
    "Extension",
    "LapsesOn",
    "RosterUpload",
]
