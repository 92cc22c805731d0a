"""Coming in at the desk: the password, the lock on guessing, a new password by e-mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core import mail
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import translation
from knox.models import AuthToken

from mentors.models import CoordinatorRole, Organisation, User
from notifications import dispatch
from notifications.models import Preference
from notifications.tasks import mail_password_link
from tests.support.second_factor import HOME, LOGIN, PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Have the worker's task done at once, and forget how often a mailbox was written to."""
    sent: list[Any] = []

    def send(user_id: int, *, base_url: str) -> bool:
        sent.append(user_id)
        mail_password_link(user_id, base_url)
        return True

    monkeypatch.setattr(dispatch, "mail_password_link", send)
    cache.clear()
    yield sent
    cache.clear()


def log_in(client: Client, *, password: str = PASSWORD, to: str = "") -> Any:
    return client.post(LOGIN + (f"?next={to}" if to else ""), {"username": "kari", "password": password})


def is_in(client: Client) -> bool:
    return client.get(HOME).status_code == 200


class TestPassword:
    def test_who_has_a_role_comes_in_whatever_is_staff_says(self, berit: User, browser: Client) -> None:
        answer = log_in(browser)

        assert (answer.status_code, answer["Location"], berit.is_staff) == (302, HOME, False)
        assert is_in(browser)

    def test_who_has_no_role_is_told_so(self, berit: User, browser: Client) -> None:
        berit.roles.all().delete()

        answer = log_in(browser)

        assert "This account has no role at the desk." in answer.content.decode()
        assert not is_in(browser)

    @pytest.mark.parametrize("change", [{"is_active": False}, {"username": "KARI"}])
    def test_a_closed_account_and_a_wrong_name_are_answered_as_a_wrong_password_is(
        self, berit: User, browser: Client, change: dict[str, Any]
    ) -> None:
        User.objects.update(**change)

        assert "The username or the password is wrong." in log_in(browser).content.decode()

    def test_it_leads_on_to_where_one_wanted(self, berit: User, browser: Client) -> None:
        assert log_in(browser, to="/admin/mentors/mentor/")["Location"] == "/admin/mentors/mentor/"

    @pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "https:evil"])
    def test_it_leads_nowhere_else(self, berit: User, browser: Client, to: str) -> None:
        assert log_in(browser, to=to)["Location"] == HOME

    def test_the_session_gets_a_new_key(self, berit: User, browser: Client) -> None:
        browser.session.save()
        before = browser.session.session_key

        log_in(browser)

        assert browser.session.session_key != before

    def test_a_session_ends_with_the_last_role(self, berit: User, browser: Client) -> None:
        log_in(browser)
        assert is_in(browser)

        CoordinatorRole.objects.all().delete()

        assert not is_in(browser)
        assert browser.get("/api/v1/mentors").status_code == 401

    def test_a_session_lasts_for_hours_and_its_cookie_is_no_scripts(self, berit: User, browser: Client) -> None:
        cookie = log_in(browser).cookies[settings.SESSION_COOKIE_NAME]

        assert (cookie["max-age"], cookie["httponly"], cookie["samesite"]) == (12 * 3600, True, "Lax")


class TestLock:
    @pytest.mark.parametrize(("language", "said"), [("en", "for 15 minutes"), ("nb", "15"), ("nn", "15")])
    def test_guessing_locks_with_a_page_that_says_for_how_long(
        self, berit: User, client: Client, language: str, said: str
    ) -> None:
        for n in range(5):
            answer = client.post(
                LOGIN, {"username": "kari", "password": f"guess {n}"}, headers={"accept-language": language}
            )

        assert (answer.status_code, answer["Retry-After"]) == (429, "900")
        page = answer.content.decode()
        assert f'<html lang="{language}"' in page
        assert said in page

    def test_the_right_password_does_not_open_the_lock(self, berit: User, browser: Client) -> None:
        for n in range(5):
            log_in(browser, password=f"guess {n}")

        assert log_in(browser).status_code == 429
        assert not is_in(browser)


class TestRules:
    @pytest.mark.parametrize(
        "password", ["short", "elevenchars", "123456789012345", "1q2w3e4r5t6y", "kari@example.org"]
    )
    def test_a_weak_password_is_refused(self, kari: User, password: str) -> None:
        with pytest.raises(ValidationError):
            validate_password(password, kari)

    def test_a_long_one_is_taken(self, kari: User) -> None:
        validate_password("twelve chars", kari)

    @pytest.mark.parametrize(
        ("language", "said"), [("en", "at least 12 characters"), ("nb", "minst 12 tegn"), ("nn", "minst 12 teikn")]
    )
    def test_the_rules_are_told_in_the_readers_language(self, language: str, said: str) -> None:
        with translation.override(language):
            assert said in " ".join(password_validators_help_texts())

    def test_a_new_password_ends_tokens_and_other_sessions(self, berit: User, browser: Client) -> None:
        elsewhere = Client()
        elsewhere.force_login(berit)
        AuthToken.objects.create(berit)
        log_in(browser)

        answer = browser.post(
            "/admin/password_change/",
            {"old_password": PASSWORD, "new_password1": "another long one", "new_password2": "another long one"},
        )

        assert answer.status_code == 302
        assert (is_in(browser), is_in(elsewhere), AuthToken.objects.exists()) == (True, False, False)

    def test_saving_a_user_otherwise_ends_nothing(self, berit: User) -> None:
        AuthToken.objects.create(berit)

        User.objects.get(pk=berit.pk).save()

        assert AuthToken.objects.exists()


class TestForgotten:
    URL = "/admin/password/"

    def ask(self, client: Client, email: str = "kari@example.org") -> Any:
        return client.post(self.URL, {"email": email})

    def link(self) -> str:
        found = re.search(r"https?://[^/\s]+(/admin/password/\S+)", str(mail.outbox[-1].body))
        assert found
        return found[1]

    def test_the_login_leads_there(self, browser: Client) -> None:
        assert f'href="{self.URL}"' in browser.get(LOGIN).content.decode()

    @pytest.mark.parametrize("email", ["nobody@example.org", "kari@example.org"])
    def test_the_answer_does_not_say_whether_there_is_an_account(
        self, berit: User, browser: Client, mailed: list[Any], email: str
    ) -> None:
        answer = self.ask(browser, email)

        assert (answer.status_code, answer["Location"]) == (302, "/admin/password/sent/")
        assert len(mail.outbox) == (email == berit.email)

    def test_the_link_sets_a_password_once_and_ends_sessions_and_tokens(
        self, berit: User, browser: Client, mailed: list[Any]
    ) -> None:
        elsewhere = Client()
        elsewhere.force_login(berit)
        AuthToken.objects.create(berit)
        self.ask(browser)

        form = browser.get(self.link(), follow=True)
        new = {"new_password1": "another long one", "new_password2": "another long one"}
        done = browser.post(form.request["PATH_INFO"], new, follow=True)

        assert done.status_code == 200
        assert (is_in(elsewhere), AuthToken.objects.exists()) == (False, False)
        assert log_in(browser, password="another long one").status_code == 302
        assert "has been used" in Client().get(self.link(), headers={"accept-language": "en"}).content.decode()

    def test_the_mail_is_in_the_users_language(self, berit: User, browser: Client, mailed: list[Any]) -> None:
        Preference.objects.create(user=berit, language="en")

        self.ask(browser)

        assert mail.outbox[0].subject == "Choose a new password"
        assert "You log in with the name kari." in mail.outbox[0].body

    def test_the_mail_comes_from_the_organisation_and_under_the_public_address(
        self, berit: User, browser: Client, mailed: list[Any], settings: Any, hlf: Organisation
    ) -> None:
        settings.PUBLIC_URL = "https://nattevakt.example.org"

        self.ask(browser)

        assert "https://nattevakt.example.org/admin/password/" in mail.outbox[0].body
        assert mail.outbox[0].from_email.startswith("HLF")

    def test_a_mailbox_is_not_flooded_and_nobody_learns_of_it(
        self, berit: User, browser: Client, mailed: list[Any]
    ) -> None:
        answers = [self.ask(browser).status_code for _ in range(5)]

        assert (answers, len(mailed)) == ([302] * 5, 3)

    def test_an_address_that_asks_too_often_waits(
        self, berit: User, browser: Client, mailed: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mentors.desk.sign_in.PerLogin.rate", "2/minute", raising=False)

        answers = [self.ask(browser, "nobody@example.org").status_code for _ in range(3)]

        assert answers == [302, 302, 429]

    def test_without_a_broker_the_mail_is_sent_all_the_same(
        self, berit: User, browser: Client, mailed: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatch, "mail_password_link", lambda *_args, **_options: False)

        self.ask(browser)

        assert [message.to for message in mail.outbox] == [["kari@example.org"]]

    def test_who_was_invited_and_has_not_come_gets_no_link(
        self, kari: User, browser: Client, mailed: list[Any]
    ) -> None:
        assert not kari.has_usable_password()

        self.ask(browser)

        assert not mail.outbox


def test_no_page_at_the_door_needs_many_queries(
    berit: User, browser: Client, django_assert_max_num_queries: Any
) -> None:
    for url in (LOGIN, "/admin/password/", "/admin/password/sent/", "/admin/password/changed/"):
        browser.get(url)  # which fills what a process remembers
        with django_assert_max_num_queries(12):
            assert browser.get(url).status_code == 200
