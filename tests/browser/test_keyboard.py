"""The main flows without a mouse: what has the focus is seen, and the focus is caught nowhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from django.utils.formats import date_format
from django_otp.oath import TOTP
from playwright.sync_api import Page, expect

from mentors.models import Mentor, User
from tests.browser.conftest import Visit
from tests.browser.keyboard import Keyboard
from tests.conftest import Certify
from tests.support.second_factor import give_app

PASSWORD = "Fjorten-blide-laks"


def open_from_menu(page: Page, name: str) -> None:
    """Go to an entry of the menu, which a telephone hides."""
    keyboard = Keyboard(page)
    entry = page.locator("#nav-sidebar-apps").get_by_role("link", name=name, exact=True)
    if not entry.is_visible():
        keyboard.press(page.get_by_role("button", name="Menu", exact=True))
        expect(entry).to_be_visible()
    keyboard.follow(entry)


def test_logging_in(visit: Visit, olav: User, width: int) -> None:
    olav.set_password(PASSWORD)
    olav.save()
    device = give_app(olav)
    page = visit().open("/admin/")
    keyboard = Keyboard(page)

    keyboard.write(page.get_by_label("Username"), "olav")
    keyboard.write(page.get_by_label("Password"), PASSWORD)
    keyboard.follow(page.get_by_role("button", name="Log in"))
    code = f"{TOTP(device.bin_key).token():06}"  # type: ignore[no-untyped-call]
    keyboard.write(page.get_by_role("textbox", name="Code"), code)
    page.keyboard.press("Enter")

    page.wait_for_url("**/admin/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_pausing_resuming_and_renewing_a_mentor(
    visit: Visit, olav: User, mentor: Mentor, certify: Certify, today: date, width: int
) -> None:
    certify(mentor, expires_in=20)
    page = visit(olav).open("/admin/")
    keyboard = Keyboard(page)
    status = page.get_by_role("region", name="How things stand")
    open_from_menu(page, "Mentors")
    keyboard.follow(page.get_by_role("link", name="Liv Moe"))

    keyboard.follow(page.get_by_role("link", name="Pause"))
    keyboard.write(page.get_by_label("Reason"), "She is away.")
    keyboard.follow(page.get_by_role("button", name="Pause Liv Moe"), "Space")
    expect(page.get_by_text("Liv Moe is paused.")).to_be_visible()
    expect(status).to_contain_text("paused")
    keyboard.follow(page.get_by_role("link", name="Resume"))
    keyboard.follow(page.get_by_role("button", name="Resume Liv Moe"), "Space")
    expect(page.get_by_text("Liv Moe is active again.")).to_be_visible()
    keyboard.follow(page.get_by_role("link", name="Renew Kurs"))
    keyboard.go_to(page.get_by_label("Expires"))
    page.keyboard.type(f"0101{today.year + 2}")  # the same, whether the day or the month comes first
    keyboard.follow(page.get_by_role("button", name="Renew Kurs"))

    expect(page.get_by_text("The renewal of Liv Moe is recorded.")).to_be_visible()
    assert mentor.certifications.filter(expires_on=date(today.year + 2, 1, 1)).exists()


@pytest.mark.usefixtures("night_worker")
def test_approving_a_held_run(visit: Visit, olav: User, hold: Callable[[], Mentor], today: date, width: int) -> None:
    mentor = hold()
    page = visit(olav).open("/admin/")
    keyboard = Keyboard(page)
    open_from_menu(page, "Runs")
    keyboard.follow(page.locator("table").get_by_role("link", name=date_format(today)))

    keyboard.follow(page.get_by_role("link", name="Approve"))
    keyboard.follow(page.get_by_role("button", name="Approve"))

    expect(page.get_by_text("all done").first).to_be_visible()
    mentor.refresh_from_db()
    assert mentor.status == Mentor.Status.PAUSED


def test_the_menu_opens_its_groups_and_the_account(visit: Visit, olav: User, mentor: Mentor, width: int) -> None:
    page = visit(olav).open("/admin/")
    keyboard = Keyboard(page)
    if width == 375:
        keyboard.press(page.get_by_role("button", name="Menu", exact=True))
        expect(page.get_by_role("button", name="Close the menu")).to_be_focused()

    keyboard.press(page.get_by_role("button", name="Organisation"), "Space")
    schedules = page.get_by_role("link", name="Schedules")
    expect(schedules).to_be_visible()
    keyboard.go_to(schedules)
    keyboard.press(page.get_by_role("button", name="olav"))

    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    keyboard.go_to(page.get_by_role("button", name="Log out"), key="Shift+Tab")
