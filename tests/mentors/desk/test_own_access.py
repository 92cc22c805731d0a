"""The page of one's own sessions, tokens and calendar, each of which is ended there."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from certifications.ical import make_feed
from certifications.models import CalendarFeed
from mentors.accounts.access import issue_token
from mentors.models import Session, User
from tests.conftest import NOW
from tests.support.second_factor import is_in, log_in

pytestmark = pytest.mark.django_db
PAGE, END = "/admin/access/", "/admin/access/end/"


@pytest.fixture
def elsewhere(berit: User) -> Client:
    client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"})
    log_in(client)
    return client


@pytest.fixture
def browser(berit: User, elsewhere: Client, browser: Client) -> Client:
    log_in(browser)
    return browser


def other_session(browser: Client) -> Session:
    return Session.objects.exclude(user=None).exclude(pk=browser.session.session_key).get()


def test_it_shows_what_lets_in_and_nothing_by_which_one_comes_in(berit: User, browser: Client) -> None:
    row, token = issue_token(berit)
    feed = make_feed(berit, now=NOW)

    page = browser.get(PAGE).content.decode()

    assert page.count("Log it out") == 1
    assert "this browser" in page
    assert "Firefox" in page
    assert f"Token {row.token_key}…" in page
    assert "The address of your calendar" in page
    for secret in (token, feed, *Session.objects.values_list("session_key", flat=True)):
        assert secret not in page


def test_another_browser_is_logged_out(berit: User, browser: Client, elsewhere: Client) -> None:
    browser.post(END, {"session": other_session(browser).reference})

    assert (is_in(browser), is_in(elsewhere)) == (True, False)


def test_a_token_is_revoked_and_others_stay(berit: User, browser: Client) -> None:
    (row, _token), (other, _secret) = issue_token(berit), issue_token(berit)

    browser.post(END, {"token": row.token_key})

    assert AuthToken.objects.get() == other


def test_the_calendar_is_revoked(berit: User, browser: Client) -> None:
    address = reverse("calendar_feed", args=[make_feed(berit, now=NOW)])

    browser.post(END, {"calendar": "1"})

    assert Client().get(address).status_code == 404


def test_everything_is_ended_but_this_browsers_login(berit: User, browser: Client, elsewhere: Client) -> None:
    issue_token(berit)
    make_feed(berit, now=NOW)

    answer = browser.post(END, {"everything": "1"}, follow=True)

    assert "Everything has ended but this browser" in answer.content.decode()
    assert (is_in(browser), is_in(elsewhere)) == (True, False)
    assert not AuthToken.objects.exists()
    assert not CalendarFeed.objects.exists()


@pytest.mark.parametrize("what", ["session", "token"])
def test_nobody_ends_anothers(berit: User, olav: User, browser: Client, what: str) -> None:
    his = Client()
    his.force_login(olav)
    row, _token = issue_token(olav)
    session = Session.objects.get(user=olav)

    browser.post(END, {"session": session.reference} if what == "session" else {"token": row.token_key})

    assert is_in(his)
    assert AuthToken.objects.filter(user=olav).exists()


def test_it_is_for_who_is_in(browser: Client, client: Client) -> None:
    assert client.get(PAGE)["Location"].startswith("/admin/login/")
    assert client.post(END, {"everything": "1"})["Location"].startswith("/admin/login/")
    assert (browser.post(PAGE).status_code, browser.get(END).status_code) == (405, 405)


def test_it_asks_the_same_however_many_there_are(
    berit: User, browser: Client, django_assert_max_num_queries: Any
) -> None:
    for _number in range(5):
        issue_token(berit)
        log_in(Client())
    browser.get(PAGE)

    with django_assert_max_num_queries(10):
        assert browser.get(PAGE).content.decode().count("Log it out") == 6
