"""Coming in with a password and a code."""

from __future__ import annotations

from base64 import b32decode

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import Page, expect

from mentors.models import User
from tests.browser.axe import assert_accessible
from tests.browser.conftest import Visit
from tests.browser.pictures import draw

PASSWORD = "Fjorten-blide-laks"


@pytest.fixture
def olav(olav: User) -> User:
    olav.set_password(PASSWORD)
    olav.save()
    return olav


def give_password(page: Page, password: str) -> None:
    page.get_by_label("Username").fill("olav")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def code_of(key: bytes) -> str:
    """Return what the app on the telephone shows."""
    return f"{TOTP(key).token():06}"  # type: ignore[no-untyped-call]


def test_who_comes_first_sets_up_an_app_and_is_in(visit: Visit, olav: User, width: int) -> None:
    page = visit().open("/admin/")
    give_password(page, PASSWORD)
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    secret = page.locator("code.door-secret").inner_text()
    draw(page, "second-factor")
    page.get_by_role("textbox", name="Code").fill(code_of(b32decode(secret.replace(" ", "").upper())))
    page.get_by_role("button", name="Use this app").click()
    codes = page.locator(".door-codes li")
    expect(codes).to_have_count(10)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the codes stand beyond the page"
    page.get_by_role("link", name="I have kept them").click()

    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.url.endswith("/admin/")


def test_a_wrong_password_and_a_wrong_code_are_said_kindly(visit: Visit, olav: User, width: int) -> None:
    page = visit().open("/admin/")

    give_password(page, "wrong")
    expect(page.get_by_text("The username or the password is wrong.")).to_be_visible()
    give_password(page, PASSWORD)
    page.get_by_role("textbox", name="Code").fill("123")
    page.get_by_role("button", name="Use this app").click()

    expect(page.get_by_text("The code is wrong, or has been used.")).to_be_visible()


def test_every_page_on_the_way_in_is_accessible(visit: Visit, olav: User) -> None:
    page = visit().open("/admin/")
    assert_accessible(page)

    give_password(page, PASSWORD)
    assert_accessible(page)
    secret = page.locator("code.door-secret").inner_text()
    page.get_by_role("textbox", name="Code").fill(code_of(b32decode(secret.replace(" ", "").upper())))
    page.get_by_role("button", name="Use this app").click()
    assert_accessible(page, reload=False)

    page.goto(page.url.partition("/admin/")[0] + "/admin/second-factor/")
    assert_accessible(page)
