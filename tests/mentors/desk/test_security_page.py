"""The page of security events: who reads what of whom, and what a long list of them costs."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from mentors.accounts.security_trail import Kind, record_event
from mentors.models import Chapter, CoordinatorRole, SecurityEvent, User
from tests.conftest import Desk

pytestmark = pytest.mark.django_db
PAGE = "/admin/mentors/securityevent/"


@pytest.fixture
def cast(oslo: Chapter, elsewhere: Chapter, kari: User, olav: User, auditor: User) -> dict[str, User]:
    """Kari coordinates Oslo of HLF, Olav leads HLF, the auditor reads it; Egil leads the other, Eva is in both."""
    egil, eva = (User.objects.create_user(name, email=f"{name}@example.org") for name in ("egil", "eva"))
    CoordinatorRole.objects.create(user=egil, organisation=elsewhere.organisation)
    for chapter in (oslo, elsewhere):
        CoordinatorRole.objects.create(user=eva, organisation=chapter.organisation, chapter=chapter)
    root = User.objects.create_superuser("root")
    return {"kari": kari, "olav": olav, "auditor": auditor, "egil": egil, "eva": eva, "root": root}


@pytest.fixture
def logins(cast: dict[str, User]) -> None:
    for user in (*cast.values(), None):
        record_event(Kind.LOGIN_FAILED, user=user)


def seen_by(browser: Client, query: str = "") -> list[SecurityEvent]:
    return list(browser.get(f"{PAGE}{query}").context["cl"].result_list)


@pytest.mark.parametrize(
    ("reader", "whose"),
    [
        ("olav", {"kari", "olav", "revisor", "eva"}),
        ("auditor", {"kari", "olav", "revisor", "eva"}),
        ("egil", {"egil", "eva"}),
        ("root", {"kari", "olav", "revisor", "eva", "egil", "root", None}),
    ],
)
def test_who_reads_whose(cast: dict[str, User], logins: None, desk: Desk, reader: str, whose: set[str | None]) -> None:
    found = seen_by(desk(cast[reader]), "?kind__exact=login_failed")

    assert {event.user.username if event.user else None for event in found} == whose


@pytest.mark.parametrize("reader", ["kari", "eva"])
def test_who_coordinates_a_chapter_reads_none(cast: dict[str, User], logins: None, desk: Desk, reader: str) -> None:
    browser = desk(cast[reader])
    event = SecurityEvent.objects.filter(user=cast[reader]).earliest("pk")

    assert browser.get(PAGE).status_code == 403
    assert browser.get(f"{PAGE}{event.pk}/change/").status_code in (302, 403)
    assert browser.get(f"{PAGE}export/").status_code == 403
    assert "securityevent" not in browser.get("/admin/").content.decode()


def test_what_is_about_a_role_is_for_the_organisation_of_the_role(cast: dict[str, User], desk: Desk) -> None:
    roles = {reader: seen_by(desk(cast[reader]), "?kind__exact=role_given") for reader in ("olav", "egil")}

    of_eva = {reader: {str(e.organisation) for e in found if e.user == cast["eva"]} for reader, found in roles.items()}
    assert of_eva == {"olav": {"HLF"}, "egil": {"Other"}}


def test_what_happened_before_a_role_and_after_it_is_not_read(cast: dict[str, User], desk: Desk) -> None:
    egil, hlf = cast["egil"], cast["olav"].roles.get().organisation
    record_event(Kind.LOGIN, user=egil)
    role = CoordinatorRole.objects.create(user=egil, organisation=hlf)
    record_event(Kind.LOGIN_FAILED, user=egil)
    role.delete()
    record_event(Kind.LOGOUT, user=egil)

    found = [event.kind for event in seen_by(desk(cast["olav"])) if event.user == egil]

    assert found == ["role_ended", "login_failed", "role_given"]


def test_a_guessed_number_shows_nobody_anothers(cast: dict[str, User], logins: None, desk: Desk) -> None:
    his = SecurityEvent.objects.filter(user=cast["egil"]).latest("pk")
    browser = desk(cast["olav"])

    assert browser.get(f"{PAGE}{his.pk}/change/").status_code == 302
    assert seen_by(browser, "?q=egil") == []
    assert "egil" not in exported(browser)


def exported(browser: Client, query: str = "") -> str:
    return browser.post(f"{PAGE}export/{query}", {"format": "0"}).content.decode("utf-8-sig")


def test_it_is_found_by_the_beginnings_of_names_and_filtered(cast: dict[str, User], logins: None, desk: Desk) -> None:
    User.objects.filter(username="kari").update(first_name="Kari", last_name="Nes")
    browser = desk(cast["olav"])

    assert {event.user for event in seen_by(browser, "?q=ne+ka")} == {cast["kari"]}
    assert {event.kind for event in seen_by(browser, "?kind__exact=role_given")} == {"role_given"}


def test_the_file_has_what_the_list_shows(cast: dict[str, User], logins: None, desk: Desk) -> None:
    lines = exported(desk(cast["olav"]), "?kind__exact=login_failed").splitlines()

    assert lines[0] == "time,event,by_way_of,account,done_by,organisation,address,device,token"
    assert len(lines) == 5


@pytest.mark.parametrize("act", ["add/", "{pk}/change/", "{pk}/delete/"])
def test_nobody_writes_there(cast: dict[str, User], logins: None, desk: Desk, act: str) -> None:
    event = SecurityEvent.objects.latest("pk")

    assert desk(cast["root"]).post(PAGE + act.format(pk=event.pk), {"post": "yes"}).status_code == 403


def test_a_page_asks_the_same_however_many_there_are(
    cast: dict[str, User], logins: None, desk: Desk, django_assert_max_num_queries: Any
) -> None:
    browser = desk(cast["root"])
    browser.get(PAGE)
    for _number in range(30):
        record_event(Kind.LOGIN, user=cast["kari"], actor=cast["olav"])

    with django_assert_max_num_queries(12):
        assert len(seen_by(browser)) == 25


def test_it_reads_as_people_speak(cast: dict[str, User], desk: Desk) -> None:
    page = desk(cast["olav"]).get(PAGE, headers={"accept-language": "nb"}).content.decode()

    assert "Sikkerhetshendelser" in page
    assert "rolle gitt: følger opp likepersoner, Oslo" in page
