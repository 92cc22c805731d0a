"""Uploading a roster at the desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from certifications.models import RosterUpload
from tests.support.roster import HEADER

OLA = "Oslo,M2,Ola Bø,ola@example.org,,nb,likepersonkurs,C2,01.02.2026,01.02.2028"
WRONG = [
    "Atlantis,M3,Per Moe,,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,,Per Moe,,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per\x1bMoe,,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per\x00Moe,,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,#REF!,,,,likepersonkurs,C3,2026-01-01,",
    f"Oslo,M3,{'P' * 201},,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,per,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,,12345678,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,,,sv,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,,,,trollkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,,,,likepersonkurs,C3,1/2/2026,",
    "Oslo,M3,Per Moe,,,,likepersonkurs,C3,2026-02-30,",
    "Oslo,M3,Per Moe,,,,likepersonkurs,C3,2026-02-02,2026-02-01",
    "Oslo,M1,Another Name,,,,likepersonkurs,C4,2026-01-01,",
    'Oslo,M3,"Per Moe,,,,likepersonkurs,C3,2026-01-01,',
    "Oslo,M3,Per Moe,,,,likepersonkurs,C3,2026-01-01",
]
Upload = Callable[..., Any]  # the answer, which has a context too


def the_file(*lines: str, raw: bytes | None = None, name: str = "roster.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, "\n".join([HEADER, *lines]).encode() if raw is None else raw)


def say_yes(client: Client, **options: str) -> Any:
    """Press the button of the preview that the user has."""
    waiting = RosterUpload.objects.first()
    data = {"import_file_name": str(waiting.pk) if waiting else "", **options}
    return client.post(reverse("admin:certifications_rosterupload_process_import"), data)
