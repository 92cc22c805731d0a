"""A coordinator's day at the desk, on a telephone and on a screen."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from playwright.sync_api import Page, expect

from certifications.models import CertificationType
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, Mentor, Organisation, User
from tests.browser.conftest import Visit
from tests.browser.pictures import draw
from tests.browser.scenes import ROSTER, Scene
from tests.conftest import Certify

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
Messy = tuple[Path, int, int]


@pytest.fixture
def messy(tmp_path: Path) -> Messy:
    """Return a roster as people type it, how many of its lines are right, and how many are wrong."""
    if not (DATA / "roster_messy.csv").exists():
        small = tmp_path / "roster_messy.csv"
        small.write_text(ROSTER, encoding="utf-8")
        return small, 1, 2
    with (DATA / "roster_messy.expected.csv").open(encoding="utf-8", newline="") as file:
        verdicts = [line["verdict"] for line in csv.DictReader(file)]
    return DATA / "roster_messy.csv", verdicts.count("ok"), verdicts.count("error")


@pytest.fixture
def types(hlf: Organisation, course: CertificationType, secrecy: CertificationType) -> None:
    for code in ("horselsteknikk", "forstehjelp", "tegnsprak"):
        CertificationType.objects.create(organisation=hlf, code=code, name=code)


def follow(page: Page, name: str) -> None:
    """Follow the menu's entry, which a telephone hides."""
    menu = page.get_by_role("navigation").locator("#nav-sidebar-apps")
    if not menu.is_visible():
        page.get_by_role("button", name="Menu", exact=True).click()
    entry = menu.get_by_role("link", name=name, exact=True)
    if not entry.is_visible():
        menu.get_by_role("button", name="Organisation").click()
    entry.click()


def test_the_messy_roster_is_imported_without_its_wrong_lines(
    visit: Visit, olav: User, types: None, oslo: Chapter, messy: Messy, width: int
) -> None:
    file, right, wrong = messy
    page = visit(olav).open("/admin/certifications/rosterupload/import/")
    page.get_by_label("Roster").set_input_files(file)
    page.get_by_label("Create the chapters that it names").check()
    page.get_by_role("button", name="Show the preview").click()

    lines = page.get_by_role("row").filter(has_text="Wrong")
    expect(lines).to_have_count(wrong)
    expect(lines.filter(has_text="email:").first).to_be_visible()
    assert not Mentor.objects.exists()
    page.get_by_role("radio", name="Wrong").check()
    expect(page.get_by_role("row").filter(has_text="New")).to_have_count(0)
    draw(page, "import")
    page.get_by_role("button", name="Import without the wrong lines").click()

    expect(page.get_by_text(f"{wrong} left out")).to_be_visible()
    assert 0 < Mentor.objects.count() <= right


def test_a_renewal_makes_a_paused_mentor_active_while_one_looks_on(
    visit: Visit, olav: User, scene: Scene, today: date, width: int
) -> None:
    page = visit(olav).open("/admin/")
    follow(page, "Mentors")
    page.locator("#searchbar").fill("Bjørn")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Bjørn Haugen").click()
    status = page.get_by_role("region", name="How things stand")
    expect(status).to_contain_text("paused")
    draw(page, "mentor")

    page.get_by_role("link", name="Renew Kurs").click()
    page.get_by_label("Expires").fill(f"{today.year + 2}-06-30")
    page.get_by_role("button", name="Renew").click()

    expect(page.get_by_text("Bjørn Haugen is active again")).to_be_visible()
    expect(status).to_contain_text("active")
    expect(status).not_to_contain_text("paused")


@pytest.mark.usefixtures("night_worker")
def test_run_now_is_seen_to_work_and_to_end(
    visit: Visit, olav: User, hlf: Organisation, mentor: Mentor, certify: Certify, width: int
) -> None:
    certify(mentor, expires_in=5)
    schedule_nightly_run(organisation=hlf, now=timezone.now())
    page = visit(olav).open("/admin/")
    follow(page, "Schedules")
    page.get_by_role("link", name="nightly").click()
    draw(page, "schedule")
    page.get_by_role("link", name="Run now").click()

    with transaction.atomic():
        list(Mentor.objects.locked())  # the worker waits for her
        page.get_by_role("button", name="Run now").click()
        expect(page.get_by_role("progressbar")).to_be_visible()

    expect(page.get_by_text("all done").first).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text="Liv Moe")).to_contain_text("done")


@pytest.mark.usefixtures("night_worker")
def test_a_held_run_is_approved_does_its_work_and_is_undone(
    visit: Visit, olav: User, hold: Callable[[], Mentor], today: date, width: int
) -> None:
    mentor = hold()
    page = visit(olav).open("/admin/")
    follow(page, "Runs")
    page.locator("table").get_by_role("link", name=date_format(today)).click()
    draw(page, "held")

    page.get_by_role("link", name="Approve").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("all done").first).to_be_visible()
    mentor.refresh_from_db()
    assert mentor.status == Mentor.Status.PAUSED
    page.get_by_role("link", name="Undo its pauses").click()
    page.get_by_label("Reason").fill("The dates were wrong.")
    page.get_by_role("button", name="Undo").click()

    expect(page.get_by_text("1 mentor is active again.")).to_be_visible()
    mentor.refresh_from_db()
    assert mentor.status == Mentor.Status.ACTIVE
