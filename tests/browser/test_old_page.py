"""A page that stood open while somebody else worked."""

from __future__ import annotations

from playwright.sync_api import expect

from mentors.models import Mentor, User
from tests.browser.conftest import Visit
from tests.support.desk import page as page_of


def test_what_both_have_changed_is_asked_and_the_rest_stays(
    visit: Visit, kari: User, mentor: Mentor, width: int
) -> None:
    page = visit(kari).open(page_of(mentor))
    Mentor.objects.filter(pk=mentor.pk).update(phone="+4791111111", listed=False, language="nn")
    page.get_by_label("Phone").fill("+4790000000")
    page.locator("#id_email").fill("liv.moe@example.org")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("Somebody has changed it meanwhile. Now it is: +4791111111")).to_be_visible()
    expect(page.get_by_label("Phone")).to_have_value("+4790000000")
    expect(page.get_by_label("Language").first).to_have_value("nn")

    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("was changed successfully")).to_be_visible()
    mentor.refresh_from_db()
    wanted = {"phone": "+4790000000", "email": "liv.moe@example.org", "listed": False, "language": "nn"}
    assert {name: getattr(mentor, name) for name in wanted} == wanted
