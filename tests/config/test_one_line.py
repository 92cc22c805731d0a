"""What is one line by nature is one line: no name, number or address has a line break, in whichever disguise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import CharField
from django.urls import reverse
from rest_framework.test import APIClient

from certifications.models import CertificationType
from certifications.roster_errors import LineCode
from mentors.models import Chapter, Mentor, User
from mentors.validators import in_one_line
from tests.conftest import Api, Certify, Desk
from tests.support.roster_desk import OLA, the_file

APPS = ("mentors", "certifications", "cronjobs", "notifications")
# Two lines for some program, letters that change places, and half a letter.
BREAKS = [
    "\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\x00", "\t", "\x1b", "\x7f", "\x9b",
    "\u202a", "\u202e", "\u2066", "\u2069", "\ud800",
]  # fmt: skip
# Nobody types these: the service writes them itself, or copies them from a field that is one line.
OF_THE_SERVICE = {
    "cronjobs.Alert.route",
    "cronjobs.CronJob.cron_expression",  # typed, and kept as it is read: five fields of numbers
    "cronjobs.CronJob.paused_by",
    "cronjobs.Incident.key",
    "cronjobs.Run.approved_by",
    "cronjobs.Run.code_version",
    "cronjobs.Run.requested_by",
    "cronjobs.RunItem.dedupe_key",
    "cronjobs.RunItem.number",
    "cronjobs.Seal.digest",
    "cronjobs.Seal.record_digest",
    "certifications.CalendarFeed.digest",
    "certifications.RosterUpload.name",
    "notifications.HostBudget.host",
    "notifications.Notification.dedupe_key",
    "notifications.Notification.message_id",
    "mentors.SecurityEvent.device",
    "mentors.SecurityEvent.token",
    "mentors.Session.device",
    "mentors.Session.session_key",
    "mentors.User.access_key",
    "mentors.User.password",
}


def typed_fields() -> Iterator[CharField[Any, Any]]:
    for app in APPS:
        for model in apps.get_app_config(app).get_models():
            for field in model._meta.local_fields:
                if isinstance(field, CharField) and not field.choices and str(field) not in OF_THE_SERVICE:
                    yield field


def test_every_field_that_is_typed_refuses_what_breaks_a_line() -> None:
    fields = list(typed_fields())

    let_through = [(str(field), text) for field in fields for text in BREAKS if takes(field, f"a{text}b")]

    assert {"mentors.Mentor.name", "cronjobs.CronJob.name", "mentors.User.last_name"} <= set(map(str, fields))
    assert let_through == []


def takes(field: CharField[Any, Any], text: str) -> bool:
    try:
        field.clean(text, None)
    except ValidationError:
        return False
    return True


def test_what_the_service_writes_itself_is_still_there() -> None:
    every = {
        str(field) for app in APPS for model in apps.get_app_config(app).get_models() for field in model._meta.fields
    }

    assert every >= OF_THE_SERVICE


@pytest.mark.parametrize("name", ["Åse Bø", "José", "محمد\u200cرضا", "Liv\u00a0Moe", "O’Neill", "Łódź 🦻"])
def test_names_of_all_countries_are_lines(name: str) -> None:
    assert takes(Mentor._meta.get_field("name"), name)
    assert in_one_line(name.replace("\u00a0", " ")) == name.replace("\u00a0", " ")


@pytest.mark.parametrize("text", [text for text in BREAKS if text != "\ud800"])
def test_what_stood_before_is_shown_in_one_line(text: str) -> None:
    assert in_one_line(f"Liv{text}Moe") == "Liv Moe"


@pytest.fixture
def client(api: Api, olav: User) -> APIClient:
    return api(olav)


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["\n", "\u2028", "\x85", "\u202e"])
class TestEveryWayIn:
    def test_the_api_names_the_field(
        self, client: APIClient, oslo: Chapter, mentor: Mentor, course: CertificationType, certify: Certify, text: str
    ) -> None:
        held = certify(mentor)
        bad = f"a{text}b"
        of_mentor = {"chapter": oslo.pk, "ref": "M9", "name": "Liv"}
        job = {"organisation": "hlf", "name": bad, "cron_expression": "30 0 * * *"}
        record = {"mentor": mentor.pk, "type": course.code, "number": bad, "issued_on": "2026-11-20"}

        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("mentors", "name", of_mentor | {"name": bad}),
            ("mentors", "ref", of_mentor | {"ref": bad}),
            ("certification-cron", "name", job),
            ("certifications", "number", record),
            (f"certifications/{held.pk}/renew", "number", {"issued_on": "2026-11-20", "number": bad}),
        ]
        answers = [(attr, client.post(f"/api/v1/{path}", body, format="json")) for path, attr, body in asked]

        assert [(answer.status_code, answer.json()["errors"][0]["attr"]) for _attr, answer in answers] == [
            (400, attr) for attr, _answer in answers
        ]

    def test_the_desk_names_the_field(
        self, desk: Desk, olav: User, mentor: Mentor, course: CertificationType, certify: Certify, text: str
    ) -> None:
        held = certify(mentor)
        number = {"number": f"a{text}b", "issued_on": "2026-11-20"}

        renewal = desk(olav).post(reverse("admin:certifications_certification_renew", args=[held.pk]), number)

        assert renewal.status_code == 422
        assert "number" in renewal.context["form"].errors

    def test_a_roster_names_the_line_and_the_column(
        self, desk: Desk, olav: User, hlf: object, oslo: Chapter, course: CertificationType, text: str
    ) -> None:
        if text == "\n":
            pytest.skip("which ends the line of a CSV")
        file = the_file(OLA, OLA.replace("M2", "M3").replace("Ola Bø", f"Ola{text}Bø"))
        data = {"import_file": file, "organisation": oslo.organisation_id}

        page = desk(olav).post(reverse("admin:certifications_rosterupload_import"), data)

        [wrong] = [line for line in page.context["report"].lines if line.verdict == "error"]
        assert (wrong.line, wrong.column, wrong.code) == (3, "name", LineCode.CONTROL_CHARACTER)
