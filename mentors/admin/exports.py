"""The list of mentors as a file."""

from __future__ import annotations

from import_export.fields import Field

from mentors.desk.exporting import Columns


class MentorFile(Columns):
    """Who a mentor is, in the words of a roster, and how it stands."""

    chapter = Field("chapter__name")
    mentor_ref = Field("ref")
    name = Field("name")
    email = Field("email")
    phone = Field("phone")
    language = Field("language")
    status = Field("status")
    pause_cause = Field("pause_cause")
    pause_reason = Field("pause_reason")
    lapses_on = Field("lapses_on")
    listed = Field("listed")
