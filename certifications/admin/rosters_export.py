"""The list of certifications as a file: a roster again, which can be imported as it is."""

from __future__ import annotations

from import_export.fields import Field

from mentors.desk.exporting import Columns


class CertificationFile(Columns):
    """The columns of a roster, and one that an import does not use."""

    chapter = Field("mentor__chapter__name")
    mentor_ref = Field("mentor__ref")
    name = Field("mentor__name")
    email = Field("mentor__email")
    phone = Field("mentor__phone")
    language = Field("mentor__language")
    certification = Field("type__code")
    number = Field("number")
    issued_on = Field("issued_on")
    expires_on = Field("expires_on")
    revoked_at = Field("revoked_at")
