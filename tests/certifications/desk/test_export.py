"""A list of the desk as a file: its rows and no others, with no formula in it, and a roster again."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certifications.models import Certification, CertificationType
from certifications.roster import import_roster
from certifications.roster_reader import COLUMNS
from mentors.desk import exporting
from mentors.models import Chapter, Mentor, Organisation, User
from mentors.spreadsheets import unguard
from tests.conftest import NOW, Certify, Desk, Enrol

pytestmark = pytest.mark.django_db
FORMULAS = ['=HYPERLINK("http://evil.example")', "+1+1", "-2+3", "@SUM(A1)", "'=1", "''@x", "a;=1", "＝1+1"]
CSV, XLSX = "0", "1"

Export = Callable[..., Any]


@pytest.fixture
def export(desk: Desk) -> Export:
    """Download a list: `export(kari, "mentors_mentor", CSV, "?status__exact=paused")`."""
    browsers: dict[User, Client] = {}

    def export(user: User, model: str, kind: str = CSV, filters: str = "", **data: str) -> Any:
        browsers[user] = browsers.get(user) or desk(user)
        return browsers[user].post(reverse(f"admin:{model}_export") + filters, {"format": kind, **data})

    return export


def rows_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(answer.content.decode("utf-8-sig").splitlines()))


def cells_of(answer: Any) -> list[Any]:
    sheet = openpyxl.load_workbook(BytesIO(answer.content)).active
    assert sheet is not None
    return [cell for row in sheet.iter_rows(min_row=2) for cell in row if cell.value is not None]


@pytest.mark.parametrize("kind", [CSV, XLSX])
def test_no_cell_is_a_formula(export: Export, olav: User, enrol: Enrol, kind: str) -> None:
    for name in FORMULAS:
        enrol(name=name, phone="+4712345678")

    answer = export(olav, "mentors_mentor", kind)

    if kind == CSV:
        cells = [cell for row in rows_of(answer) for cell in row.values()]
        assert "'+4712345678" in cells
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    else:
        values = [cell.value for cell in cells_of(answer)]
        assert "+4712345678" in values
        assert {cell.data_type for cell in cells_of(answer)} == {"s"}
        assert not any(value.startswith(("=", "-", "@")) for value in values)
    assert len(set(FORMULAS) & {unguard(str(cell)) for cell in (cells if kind == CSV else values)}) == len(FORMULAS)


@pytest.mark.parametrize("kind", [CSV, XLSX])
def test_the_certifications_can_be_imported_again_and_change_nothing(
    export: Export, olav: User, hlf: Organisation, enrol: Enrol, certify: Certify, tmp_path: Path, kind: str
) -> None:
    for name in (*FORMULAS, "Åse Bø"):
        certify(enrol(name=name, phone="+4712345678", language="nn"), number="-7")
    certify(Mentor.objects.latest("pk"), expires_in=None)
    before = list(Certification.objects.order_by("pk").values())
    mentors = list(Mentor.objects.order_by("pk").values())

    file = tmp_path / "roster"
    file.write_bytes(export(olav, "certifications_certification", kind).content)
    report = import_roster(file, organisation=hlf, now=NOW)

    assert (report.unchanged, len(report.lines), report.errors) == (10, 10, 0)
    assert report.ignored_columns == ("revoked_at",)
    assert list(Certification.objects.order_by("pk").values()) == before
    assert list(Mentor.objects.order_by("pk").values()) == mentors


def test_a_roster_gives_the_same_mentors_to_an_empty_organisation(
    export: Export, olav: User, elsewhere: Chapter, enrol: Enrol, certify: Certify, tmp_path: Path
) -> None:
    mentor = enrol(name="=1+1", phone="+4712345678")
    certify(mentor, number="@7")
    CertificationType.objects.create(organisation=elsewhere.organisation, code="likepersonkurs", name="Kurs")

    file = tmp_path / "roster.csv"
    file.write_bytes(export(olav, "certifications_certification").content)
    import_roster(file, organisation=elsewhere.organisation, now=NOW)

    copy = Mentor.objects.get(organisation=elsewhere.organisation)
    assert (copy.name, copy.phone, copy.ref) == ("=1+1", "+4712345678", mentor.ref)
    assert copy.certifications.get().number == "@7"


def test_the_columns_are_those_of_a_roster_and_the_dates_are_iso(
    export: Export, olav: User, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, issued_on=date(2026, 2, 1), expires_on=date(2028, 1, 31), number="C7")

    [row] = rows_of(export(olav, "certifications_certification"))

    assert tuple(row)[:-1] == COLUMNS
    assert (row["issued_on"], row["expires_on"], row["certification"]) == ("2026-02-01", "2028-01-31", "likepersonkurs")


def test_a_coordinator_exports_the_mentors_of_the_chapter(
    export: Export, kari: User, bergen: Chapter, elsewhere: Chapter, enrol: Enrol, certify: Certify
) -> None:
    mine, other = enrol(name="Liv Moe"), enrol(name="Per Ås", chapter=bergen)
    certify(mine)
    certify(other)

    for model in ("mentors_mentor", "certifications_certification"):
        everything = rows_of(export(kari, model))
        by_filter = export(kari, model, filters=f"?chapter__id__exact={bergen.pk}")

        assert {row["name"] for row in everything} == {"Liv Moe"}
        assert "Per Ås" not in by_filter.content.decode("utf-8", "replace")


def test_ids_in_the_form_lead_to_nothing(export: Export, kari: User, bergen: Chapter, enrol: Enrol) -> None:
    other = enrol(name="Per Ås", chapter=bergen)

    answer = export(kari, "mentors_mentor", export_items=str(other.pk))

    assert rows_of(answer) == []


def test_an_auditor_exports_nothing(export: Export, auditor: User, mentor: Mentor) -> None:
    assert export(auditor, "mentors_mentor").status_code == 403


def test_the_filters_of_the_list_count(export: Export, olav: User, enrol: Enrol) -> None:
    enrol(name="Liv Moe")
    enrol(name="Per Ås", status="paused", pause_cause="manual")

    paused = export(olav, "mentors_mentor", filters="?status__exact=paused")
    unknown = export(olav, "mentors_mentor", filters="?nonsense=1")

    assert [row["name"] for row in rows_of(paused)] == ["Per Ås"]
    assert unknown.status_code == 302


def test_the_page_asks_for_the_kind_of_file(export: Export, desk: Desk, olav: User, mentor: Mentor) -> None:
    unknown = export(olav, "mentors_mentor", "7")

    page = desk(olav).get(reverse("admin:mentors_mentor_export"))

    assert unknown["Content-Type"].startswith("text/html")
    assert "chapter, mentor_ref, name" in page.content.decode()


@pytest.mark.parametrize(("user", "imports"), [("olav", True), ("kari", False)])
def test_the_list_leads_to_both(
    request: pytest.FixtureRequest, desk: Desk, oslo: Chapter, user: str, imports: bool
) -> None:
    client = desk(request.getfixturevalue(user))

    page = client.get(reverse("admin:mentors_mentor_changelist") + "?status__exact=active").content.decode()

    assert reverse("admin:mentors_mentor_export") + "?status__exact=active" in page
    assert (reverse("admin:certifications_rosterupload_import") in page) == imports


@pytest.mark.parametrize("kind", [CSV, XLSX])
def test_a_file_takes_one_query_however_long_it_is(
    export: Export, olav: User, enrol: Enrol, certify: Certify, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(exporting, "AT_ONCE", 15)
    for _number in range(10):
        certify(enrol())
    export(olav, "certifications_certification", kind)  # which logs in
    with CaptureQueriesContext(connection) as few:
        export(olav, "certifications_certification", kind)
    for _number in range(30):
        certify(enrol())
    with CaptureQueriesContext(connection) as many:
        file = export(olav, "certifications_certification", kind)

    cells = [cell.value for cell in cells_of(file)] if kind == XLSX else [row["certification"] for row in rows_of(file)]
    assert cells.count("likepersonkurs") == 40  # more than a page of the list has
    assert len(few) == len(many) <= 12
