"""Accepting an invitation: the account taken over, and nobody beyond one's scope."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from mentors.accounts.invitations import InvitationTokens
from mentors.models import CoordinatorRole, Organisation, User
from notifications.invitations import invite_again
from tests.conftest import NOW
from tests.support.delivery import deliver
from tests.support.invitations import invite_nora, link_in
from tests.support.mail import MailServer
from tests.support.second_factor import code_of, key_on

pytestmark = pytest.mark.django_db
NEW = {"new_password1": "a long and new one", "new_password2": "a long and new one"}


def accept(browser: Client, link: str) -> Any:
    form = browser.get(link, follow=True)
    return browser.post(form.request["PATH_INFO"], NEW)


class TestAccepting:
    @pytest.fixture
    def link(self, clock: Any, olav: User, hlf: Organisation, post: MailServer) -> str:
        invite_nora(hlf, actor=olav)
        deliver()
        return link_in(post)

    def test_a_password_an_app_and_one_is_in(self, link: str, browser: Client, settings: Any, clock: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True

        after_password = accept(browser, link)
        pending_login = browser.get("/admin/").status_code, browser.get("/api/v1/me").status_code
        key = key_on(browser.get(after_password["Location"]).content.decode())
        codes = browser.post(after_password["Location"], {"code": code_of(key)})

        assert after_password["Location"].startswith("/admin/second-factor/device/")
        assert pending_login == (302, 401)
        assert codes.status_code == 200
        assert browser.get("/admin/").status_code == 200

    def test_where_no_app_is_required_the_password_is_enough(self, link: str, browser: Client) -> None:
        assert accept(browser, link)["Location"] == "/admin/"
        assert browser.get("/api/v1/me").json()["username"] == "nora@example.org"

    def test_its_address_does_not_keep_the_secret(self, link: str, browser: Client) -> None:
        assert browser.get(link)["Location"].endswith("/set-password/")

    def test_a_weak_password_is_refused(self, link: str, browser: Client) -> None:
        form = browser.get(link, follow=True)

        answer = browser.post(form.request["PATH_INFO"], {"new_password1": "short", "new_password2": "short"})

        assert answer.status_code == 200
        assert not User.objects.get(username="nora@example.org").has_usable_password()

    def test_it_is_good_once(self, link: str, browser: Client) -> None:
        accept(browser, link)

        self.assert_void(link)

    def test_it_is_good_for_seven_days(self, link: str, clock: Any) -> None:
        clock.shift(timedelta(days=7, seconds=-1))
        assert Client().get(link).status_code == 302

        clock.shift(2)
        self.assert_void(link)

    def test_the_next_invitation_makes_it_void(self, link: str, olav: User, post: MailServer, browser: Client) -> None:
        invite_again(CoordinatorRole.objects.exclude(user=olav).get(), actor=olav, now=NOW + timedelta(minutes=1))
        deliver(NOW + timedelta(minutes=1))

        self.assert_void(link)
        assert accept(browser, link_in(post)).status_code == 302

    def test_a_role_that_was_ended_makes_it_void(self, link: str, olav: User) -> None:
        CoordinatorRole.objects.exclude(user=olav).delete()

        self.assert_void(link)

    def test_a_closed_account_makes_it_void(self, link: str) -> None:
        User.objects.filter(username="nora@example.org").update(is_active=False)

        self.assert_void(link)

    def test_it_is_nobody_elses(self, link: str, olav: User) -> None:
        token = InvitationTokens().make_token(User.objects.get(username="nora@example.org"))
        other = User.objects.create_user("other")
        CoordinatorRole.objects.create(user=other, organisation=Organisation.objects.get())

        assert not InvitationTokens().check_token(other, token)
        assert not InvitationTokens().check_token(None, token)
        self.assert_void(link.replace(token[-3:], "xyz"))

    def assert_void(self, link: str) -> None:
        page = Client(headers={"accept-language": "en"}).get(link)
        assert page.status_code == 200
        assert "ask the coordinator who invited you to send the invitation again" in page.content.decode()
