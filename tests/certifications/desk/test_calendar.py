"""The page of one's own calendar."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from certifications.admin.calendar import NAME
from certifications.ical import make_feed
from certifications.models import CalendarFeed
from mentors.models import CoordinatorRole, User
from tests.conftest import NOW, Desk
from tests.support.calendar import SITE, address_of

pytestmark = pytest.mark.django_db
DESK = "/admin/certifications/calendarfeed/"


@pytest.fixture(autouse=True)
def public_url(settings: Any) -> None:
    settings.PUBLIC_URL = SITE


class TestDesk:
    """The page of one's own calendar."""

    @pytest.fixture
    def browser(self, desk: Desk, kari: User) -> Client:
        return desk(kari)

    def made(self, browser: Client) -> str:
        [address] = re.findall(f'value="{SITE}(/c/.*?)"', browser.post(f"{DESK}make/").content.decode())
        return str(address)

    def test_an_address_is_made_and_shown_once(self, browser: Client, kari: User) -> None:
        before = browser.get(DESK).content.decode()
        address = self.made(browser)
        after = browser.get(DESK).content.decode()

        assert "You have no address yet." in before
        assert Client().get(address).status_code == 200
        assert "You have had an address since Nov. 21, 2026." in after
        assert address not in after

    def test_it_is_replaced_and_revoked_there(self, browser: Client) -> None:
        old, new = self.made(browser), self.made(browser)
        replaced = [Client().get(address).status_code for address in (old, new)]

        answer = browser.post(f"{DESK}revoke/", follow=True)

        assert replaced == [404, 200]
        assert "The address is revoked." in answer.content.decode()
        assert Client().get(new).status_code == 404
        assert "is revoked" not in browser.post(f"{DESK}revoke/", follow=True).content.decode()

    def test_opening_an_address_changes_nothing(self, browser: Client) -> None:
        assert [browser.get(reverse(f"admin:{NAME}_{act}")).status_code for act in ("make", "revoke")] == [405, 405]
        assert not CalendarFeed.objects.exists()

    def test_another_site_cannot_make_one(self, kari: User) -> None:
        stranger = Client(enforce_csrf_checks=True)
        stranger.force_login(kari)

        assert stranger.post(f"{DESK}make/").status_code == 403

    def test_nobody_reaches_anothers(self, browser: Client, olav: User) -> None:
        address = address_of(olav)
        [feed] = CalendarFeed.objects.all()

        shown = browser.get(DESK).content.decode()
        browser.post(f"{DESK}revoke/")
        others = [browser.get(f"{DESK}{feed.pk}/{act}/").status_code for act in ("change", "delete", "history")]

        assert "You have no address yet." in shown
        assert others == [404, 404, 404]
        assert Client().get(address).status_code == 200

    @pytest.mark.parametrize("path", ["", "make/", "revoke/"])
    def test_who_looks_after_nobody_has_none(self, client: Client, auditor: User, path: str) -> None:
        client.force_login(auditor)

        answer = client.post(DESK + path) if path else client.get(DESK)

        assert answer.status_code == 403
        assert not CalendarFeed.objects.exists()

    def test_it_costs_few_queries(self, browser: Client, kari: User, django_assert_max_num_queries: Any) -> None:
        others = User.objects.bulk_create(User(username=f"other-{number}") for number in range(40))
        role = kari.roles.get()
        CoordinatorRole.objects.bulk_create(
            CoordinatorRole(user=user, organisation=role.organisation, chapter=role.chapter) for user in others
        )
        for user in (*others, kari):
            make_feed(user, now=NOW)

        browser.get(DESK)  # which fills what a process remembers
        with django_assert_max_num_queries(12):
            assert browser.get(DESK).status_code == 200
