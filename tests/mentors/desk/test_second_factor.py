"""The second factor: nobody is in before the code."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticToken

from mentors.accounts.second_factor import BACKUP_CODES, reset_second_factor
from mentors.models import User
from tests.support.second_factor import ACCOUNT, CODE, HOME, KEY, LOGIN, code_of, give_app, is_in, log_in

pytestmark = pytest.mark.django_db


def wrong_code() -> str:
    return f"{(totp(bytes.fromhex(KEY)) + 1) % 1_000_000:06}"  # type: ignore[no-untyped-call]


class TestCode:
    def test_it_follows_the_password_and_leads_on(self, paper: list[str], browser: Client) -> None:
        after_password = log_in(browser, to="/admin/mentors/mentor/")
        after_code = browser.post(after_password["Location"], {"code": code_of(KEY)})

        assert after_password["Location"] == f"{CODE}?next=%2Fadmin%2Fmentors%2Fmentor%2F"
        assert after_code["Location"] == "/admin/mentors/mentor/"
        assert is_in(browser)

    def test_between_the_password_and_the_code_nobody_is_logged_in(self, paper: list[str], browser: Client) -> None:
        log_in(browser)

        answers = {url: browser.get(url).status_code for url in (HOME, ACCOUNT, "/admin/mentors/mentor/")}

        assert set(answers.values()) == {302}
        assert browser.get("/api/v1/me").status_code == 401
        assert browser.get("/api/v1/mentors").status_code == 401
        assert "_auth_user_id" not in browser.session

    def test_nobody_comes_to_it_without_the_password(self, paper: list[str], browser: Client) -> None:
        answer = browser.post(CODE, {"code": code_of(KEY)})

        assert answer["Location"].startswith(LOGIN)
        assert not is_in(browser)

    def test_the_password_is_forgotten_after_a_while(self, paper: list[str], browser: Client, clock: Any) -> None:
        log_in(browser)

        clock.shift(601)

        assert browser.post(CODE, {"code": code_of(KEY)})["Location"].startswith(LOGIN)

    def test_a_new_password_ends_what_was_half_way(self, paper: list[str], berit: User, browser: Client) -> None:
        log_in(browser)

        berit.set_password("another long one")
        berit.save()

        assert browser.post(CODE, {"code": code_of(KEY)})["Location"].startswith(LOGIN)

    def test_both_steps_give_the_session_a_new_key(self, paper: list[str], browser: Client) -> None:
        browser.session.save()
        keys = [browser.session.session_key]

        log_in(browser)
        keys.append(browser.session.session_key)
        browser.post(CODE, {"code": code_of(KEY)})
        keys.append(browser.session.session_key)

        assert len(set(keys)) == 3

    def test_it_leads_nowhere_else(self, paper: list[str], browser: Client) -> None:
        log_in(browser)

        answer = browser.post(f"{CODE}?next=https://evil.example/", {"code": code_of(KEY)})

        assert answer["Location"] == HOME

    def test_it_is_good_once(self, paper: list[str], browser: Client) -> None:
        code = code_of(KEY)
        log_in(browser)
        browser.post(CODE, {"code": code})
        other = Client(headers={"accept-language": "en"})
        log_in(other)

        answer = other.post(CODE, {"code": code})

        assert "The code is wrong, or has been used." in answer.content.decode()
        assert (is_in(browser), is_in(other)) == (True, False)

    def test_one_on_paper_is_good_once(self, paper: list[str], browser: Client) -> None:
        other = Client()
        written = f"{paper[0][:4]} {paper[0][4:].upper()}"
        log_in(browser)
        log_in(other)

        browser.post(CODE, {"code": written})
        other.post(CODE, {"code": written})

        assert (is_in(browser), is_in(other)) == (True, False)
        assert StaticToken.objects.count() == BACKUP_CODES - 1

    @pytest.mark.parametrize("code", ["", "abcdefgh", "1234567", "one two", "１２３４５６"])
    def test_nonsense_is_refused(self, paper: list[str], browser: Client, code: str) -> None:
        log_in(browser)

        assert browser.post(CODE, {"code": code}).status_code == 200
        assert not is_in(browser)

    def test_after_a_wrong_one_the_right_one_waits(self, paper: list[str], browser: Client, clock: Any) -> None:
        log_in(browser)
        browser.post(CODE, {"code": wrong_code()})

        at_once = browser.post(CODE, {"code": code_of(KEY)})
        clock.shift(30)
        later = browser.post(CODE, {"code": code_of(KEY)})

        assert "wait for" in at_once.content.decode()
        assert later["Location"] == HOME

    def test_guessing_codes_locks_as_guessing_passwords_does(
        self, paper: list[str], browser: Client, clock: Any
    ) -> None:
        log_in(browser)

        answers = []
        for _guess in range(5):
            answers.append(browser.post(CODE, {"code": wrong_code()}).status_code)
            clock.shift(60)
        right = browser.post(CODE, {"code": code_of(KEY)})

        assert answers == [200, 200, 200, 200, 429]
        assert (right.status_code, right["Retry-After"]) == (429, "900")
        assert log_in(browser).status_code == 429

    def test_a_login_by_the_password_alone_does_not_forgive_wrong_codes(
        self, paper: list[str], browser: Client, clock: Any
    ) -> None:
        answers = []
        for _guess in range(5):
            log_in(browser)
            answers.append(browser.post(CODE, {"code": wrong_code()}).status_code)
            clock.shift(60)

        assert answers[-1] == 429

    def test_the_code_of_somebody_else_is_wrong(self, paper: list[str], olav: User, browser: Client) -> None:
        key = KEY[::-1]
        give_app(olav, key=key)
        log_in(browser)

        browser.post(CODE, {"code": code_of(key)})

        assert not is_in(browser)


class TestSession:
    """A session that was made before the second factor, or has lost it, opens nothing."""

    def test_an_app_set_up_elsewhere_asks_for_a_code_here(self, berit: User, browser: Client) -> None:
        browser.force_login(berit)
        assert is_in(browser)

        give_app(berit, key=KEY)

        assert browser.get(HOME).status_code == 302
        assert browser.get("/api/v1/me").status_code == 401

    def test_where_one_is_required_a_session_without_is_none(self, berit: User, browser: Client, settings: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True
        browser.force_login(berit)

        assert browser.get(HOME).status_code == 302
        assert browser.get("/api/v1/me").status_code == 401
        assert browser.post("/api/v1/auth/logout-all").status_code == 401

    def test_a_reset_ends_the_session(self, paper: list[str], berit: User, browser: Client, settings: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True
        log_in(browser)
        browser.post(CODE, {"code": code_of(KEY)})
        assert is_in(browser)

        reset_second_factor(berit, actor=None)

        assert not is_in(browser)
