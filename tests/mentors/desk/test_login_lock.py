"""One door, one lock: what the desk counts, the API counts too, and a name at which many guess is slowed down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from mentors.accounts.access import end_all_access
from mentors.accounts.passwords import PasswordLinks
from mentors.models import User
from mentors.rest.throttles import PerLogin
from notifications import dispatch
from notifications.tasks import mail_password_link
from tests.support.second_factor import LOGIN, PASSWORD, is_in

pytestmark = pytest.mark.django_db
API, FORGOTTEN = "/api/v1/auth/login", "/admin/password/"
DOORS = ["desk", "api"]


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def knock(door: str, *, password: str, name: str = "kari", address: str = "192.0.2.1", browser: Any = None) -> Any:
    browser = browser or Client(headers={"accept-language": "en"})
    fields = {"username": name, "password": password}
    if door == "api":
        return browser.post(API, fields, content_type="application/json", REMOTE_ADDR=address)
    return browser.post(LOGIN, fields, REMOTE_ADDR=address)


def guess_from_everywhere(times: int, *, door: str = "desk") -> None:
    for number in range(times):
        knock(door, password=f"guess {number}", address=f"192.0.2.{number + 10}")


@pytest.mark.parametrize("second", DOORS)
@pytest.mark.parametrize("first", DOORS)
def test_failures_at_one_door_lock_the_other(berit: User, first: str, second: str) -> None:
    for number in range(5):
        knock(first, password=f"guess {number}")

    answer = knock(second, password=PASSWORD)

    assert (answer.status_code, answer["Retry-After"]) == (429, "900")


@pytest.mark.parametrize("second", DOORS)
@pytest.mark.parametrize("first", DOORS)
def test_an_address_may_try_only_so_often_at_both_doors_together(
    berit: User, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    monkeypatch.setattr(PerLogin, "THROTTLE_RATES", {"login": "3/minute"})
    for number in range(3):
        knock(first, name=f"name-{number}", password="guess")

    refused, elsewhere = knock(second, password=PASSWORD), knock(second, password=PASSWORD, address="192.0.2.2")

    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 60
    assert elsewhere.status_code in (200, 302)


def test_who_is_logged_in_may_not_try_more(berit: User, monkeypatch: pytest.MonkeyPatch, browser: Client) -> None:
    monkeypatch.setattr(PerLogin, "THROTTLE_RATES", {"login": "3/minute"})
    browser.force_login(berit)

    answers = [knock("desk", name="olav", password=f"guess {n}", browser=browser).status_code for n in range(4)]

    assert answers[-1] == 429


class TestSlowedDown:
    @pytest.mark.parametrize("door", DOORS)
    def test_a_name_at_which_many_addresses_guess_is_slowed_down(self, berit: User, door: str) -> None:
        guess_from_everywhere(14, door=door)

        answer = knock(door, password=PASSWORD, address="198.51.100.1")

        assert answer.status_code == 429
        assert 0 < int(answer["Retry-After"]) <= 60

    def test_it_waits_twice_as_long_each_time_and_a_minute_at_most(self, berit: User, clock: Any) -> None:
        waits = []
        for number in range(20):
            answer = knock("desk", password="guess", address=f"192.0.2.{number}")
            if answer.status_code == 429:
                waits.append(int(answer["Retry-After"]))
                clock.shift(timedelta(seconds=waits[-1]))
                knock("desk", password="guess", address=f"198.51.100.{number}")

        assert waits[:6] == [1, 2, 4, 8, 16, 32]
        assert set(waits[6:]) == {60}

    def test_what_is_refused_unread_makes_nobody_wait_longer(self, berit: User, clock: Any, browser: Client) -> None:
        guess_from_everywhere(30)  # of which the first ten are read
        clock.shift(timedelta(seconds=1))

        knock("desk", password=PASSWORD, browser=browser)

        assert is_in(browser)

    def test_its_owner_comes_in_at_once_with_a_browser_of_before(self, berit: User, browser: Client) -> None:
        knock("desk", password=PASSWORD, browser=browser)
        browser.post("/admin/logout/")
        guess_from_everywhere(14)

        knock("desk", password=PASSWORD, browser=browser)

        assert is_in(browser)

    def test_and_after_a_link_that_was_read_in_her_mailbox(self, berit: User, browser: Client) -> None:
        guess_from_everywhere(14)
        uid = urlsafe_base64_encode(force_bytes(berit.pk))
        link = reverse("password_reset_confirm", args=[uid, PasswordLinks().make_token(berit)])
        form = browser.get(link, follow=True).request["PATH_INFO"]
        browser.post(form, {"new_password1": "a long and new one", "new_password2": "a long and new one"})

        knock("desk", password="a long and new one", browser=browser)

        assert is_in(browser)

    def test_anothers_browser_and_one_from_before_access_was_ended_are_unknown(
        self, berit: User, olav: User, browser: Client
    ) -> None:
        olav.set_password(PASSWORD)
        olav.save()
        knock("desk", name="olav", password=PASSWORD, browser=browser)
        old = Client()
        knock("desk", password=PASSWORD, browser=old)
        end_all_access(berit)
        guess_from_everywhere(14)

        answers = [knock("desk", password=PASSWORD, browser=one).status_code for one in (browser, old)]

        assert answers == [429, 429]

    def test_the_cookie_is_signed_and_lets_nobody_in(self, berit: User, browser: Client) -> None:
        cookie = knock("desk", password=PASSWORD, browser=browser).cookies["nattevakt_device"]
        stranger = Client()
        stranger.cookies["nattevakt_device"] = cookie.value

        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/admin/")
        assert not is_in(stranger)
        stranger.cookies["nattevakt_device"] = cookie.value[:-2] + "xx"
        assert stranger.get(LOGIN).status_code == 200

    def test_other_names_are_not(self, berit: User, olav: User, browser: Client) -> None:
        olav.set_password(PASSWORD)
        olav.save()
        guess_from_everywhere(14)

        knock("desk", name="olav", password=PASSWORD, browser=browser)

        assert is_in(browser)

    def test_a_name_that_nobody_has_is_answered_the_same(self, berit: User) -> None:
        for name in ("kari", "nobody"):
            for number in range(14):
                knock("desk", name=name, password=f"guess {number}", address=f"192.0.2.{number + 10}")

        known, unknown = (knock("desk", name=name, password="x", address="198.51.100.1") for name in ("kari", "nobody"))

        assert (known.status_code, unknown.status_code) == (429, 429)


class TestMailbox:
    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def send(user_id: int, *, base_url: str) -> bool:
            mail_password_link(user_id, base_url)
            return True

        monkeypatch.setattr(dispatch, "mail_password_link", send)

    def ask(self, address: str) -> None:
        Client().post(FORGOTTEN, {"email": "kari@example.org"}, REMOTE_ADDR=address)

    def test_who_asks_in_her_place_does_not_lock_its_owner_out(self, berit: User, sent: None) -> None:
        for _time in range(5):
            self.ask("192.0.2.1")
        by_another = len(mail.outbox)

        self.ask("198.51.100.1")

        assert (by_another, len(mail.outbox)) == (3, 4)

    def test_no_mailbox_is_flooded_from_many_addresses(self, berit: User, sent: None) -> None:
        for number in range(20):
            self.ask(f"192.0.2.{number}")

        assert len(mail.outbox) == 12
