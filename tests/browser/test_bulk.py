"""Many at once: a course that was held, and an extension that is undone."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from playwright.sync_api import expect

from certifications.models import Certification
from mentors.models import Mentor, User
from tests.browser.conftest import Visit
from tests.browser.pictures import draw
from tests.conftest import Certify, Enrol


@pytest.fixture
def attendees(enrol: Enrol, certify: Certify) -> list[Mentor]:
    """Three of Oslo, of whom the last is paused."""
    mentors = [enrol(name=name) for name in ("Anne Berg", "Bente Vik")]
    mentors.append(enrol(name="Carl Eng", status="paused", pause_cause="certification_expired"))
    for mentor, expires_in in zip(mentors, (20, 30, -4), strict=True):
        certify(mentor, expires_in=expires_in)
    return mentors


def test_a_whole_course_is_renewed_by_ticking_who_attended(
    visit: Visit, kari: User, attendees: list[Mentor], enrol: Enrol, today: date, width: int
) -> None:
    absent = enrol(name="Dag Lund")
    page = visit(kari).open("/admin/mentors/mentor/")
    page.get_by_role("link", name="A course was held").click()
    page.get_by_label("Type").select_option(label="Kurs")
    page.get_by_label("Expires").fill(str(today + timedelta(days=700)))
    for mentor in attendees:
        page.get_by_role("checkbox", name=mentor.name).check()
    expect(page.get_by_text("3 are ticked.")).to_be_visible()
    draw(page, "course")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("row").filter(has_text="Carl Eng")).to_contain_text("is resumed at once")
    page.get_by_role("button", name="Record the course").click()

    expect(page.get_by_text("Recorded for 3 mentors.")).to_be_visible()
    renewed = Certification.objects.filter(expires_on=today + timedelta(days=700))
    assert set(renewed.values_list("mentor", flat=True)) == {mentor.pk for mentor in attendees}
    assert not absent.certifications.exists()
    assert Mentor.objects.get(name="Carl Eng").status == Mentor.Status.ACTIVE


def test_many_are_extended_and_the_extension_is_undone(
    visit: Visit, olav: User, attendees: list[Mentor], today: date, width: int
) -> None:
    before = list(Certification.objects.order_by("pk").values_list("expires_on", flat=True))
    page = visit(olav).open("/admin/certifications/certification/")
    for box in page.locator("input.action-select").all():
        box.check()
    page.locator("select[name=action]").select_option(value="extend")
    page.get_by_role("button", name="Run").click()
    page.get_by_label("New expiry").fill(str(today + timedelta(days=90)))
    page.get_by_label("Reason").fill("The course was cancelled.")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("3 certifications would be extended")).to_be_visible()
    page.get_by_role("button", name="Extend them").click()
    expect(page.get_by_text("3 certifications are extended.")).to_be_visible()
    assert set(Certification.objects.values_list("expires_on", flat=True)) == {today + timedelta(days=90)}

    page.get_by_role("link", name="Undo the extension").click()
    page.get_by_label("Reason").fill("It was held after all.")
    page.get_by_role("button", name="Undo the extension").click()

    expect(page.get_by_text("3 certifications expire as before.")).to_be_visible()
    assert list(Certification.objects.order_by("pk").values_list("expires_on", flat=True)) == before
