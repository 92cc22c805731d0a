"""Accepting an invitation: the account taken over, and nobody beyond one's scope."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from mentors.accounts.access import NoRole, issue_token
from mentors.accounts.invitations import InvitationTokens, find_invitation
from mentors.admin import password_reset
from mentors.models import Chapter, CoordinatorRole, Invitation, Mentor, Organisation, User
from notifications.invitations import invite_again
from notifications.models import Notification
from tests.conftest import NOW, Certify
from tests.support.delivery import deliver
from tests.support.invitations import invite_nora, link_in
from tests.support.mail import MailServer
from tests.support.nights import run_night
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
        invite_again(Invitation.objects.get(), actor=olav, now=NOW + timedelta(minutes=1))
        deliver(NOW + timedelta(minutes=1))

        self.assert_void(link)
        assert accept(browser, link_in(post)).status_code == 302

    def test_one_that_was_withdrawn_makes_it_void(self, link: str, olav: User, browser: Client) -> None:
        browser.force_login(olav)
        browser.post(f"/admin/mentors/invitation/{Invitation.objects.get().pk}/delete/", {"post": "yes"})

        self.assert_void(link)

    def test_a_closed_account_makes_it_void(self, link: str) -> None:
        User.objects.filter(username="nora@example.org").update(is_active=False)

        self.assert_void(link)

    def test_it_is_nobody_elses(self, link: str, olav: User) -> None:
        hers = Invitation.objects.get()
        token = InvitationTokens(hers).make_token(hers.user)
        other = User.objects.create_user("other")
        his = Invitation.objects.create(user=other, organisation=hers.organisation, duty="coordinator", sent_at=NOW)

        assert not InvitationTokens(his).check_token(other, token)
        assert not InvitationTokens(hers).check_token(None, token)
        self.assert_void(link.replace(token[-3:], "xyz"))
        self.assert_void(link.replace(f"/{hers.pk}/", f"/{his.pk}/"))

    def test_two_windows_accept_once(self, link: str, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        other = Client(headers={"accept-language": "en"})
        form = other.get(link, follow=True).request["PATH_INFO"]
        found = find_invitation(Invitation.objects.get().pk)
        accept(browser, link)
        monkeypatch.setattr(password_reset, "find_invitation", lambda _id: found)  # the other has read it before

        page = other.post(form, NEW)

        assert "ask the coordinator who invited you" in page.content.decode()
        assert CoordinatorRole.objects.filter(user__username="nora@example.org").count() == 1

    def test_who_knows_nothing_of_it_declines(self, link: str, browser: Client) -> None:
        form = browser.get(link, follow=True)

        page = browser.post(form.request["PATH_INFO"], {"decline": "1"})

        assert "The invitation is declined." in page.content.decode()
        assert not Invitation.objects.exists()
        assert not User.objects.get(username="nora@example.org").roles.exists()

    def assert_void(self, link: str) -> None:
        page = Client(headers={"accept-language": "en"}).get(link)
        assert page.status_code == 200
        assert "ask the coordinator who invited you to send the invitation again" in page.content.decode()


class TestUntilThen:
    """Nothing but the invitation leaves, whoever's the address is."""

    @pytest.fixture
    def stranger(self, olav: User, hlf: Organisation, oslo: Chapter) -> User:
        invite_nora(hlf, actor=olav, chapter=oslo)
        return User.objects.get(username="nora@example.org")

    def test_a_night_tells_her_nothing(
        self, stranger: User, mentor: Mentor, certify: Certify, hlf: Organisation, today: Any, post: MailServer
    ) -> None:
        certify(mentor, expires_in=-1)
        run_night(hlf, today, now=NOW)

        deliver()

        assert [message["Subject"] for message in post.to("nora@example.org")] == [
            "Du er invitert til Nattevakt, for HLF"
        ]
        assert not Notification.objects.filter(recipient_user=stranger).exclude(kind="invited").exists()

    def test_she_counts_for_nobody_who_looks_after_mentors(
        self, stranger: User, olav: User, mentor: Mentor, certify: Certify, hlf: Organisation, today: Any
    ) -> None:
        olav.roles.all().delete()
        certify(mentor, expires_in=-1)

        run_night(hlf, today, now=NOW)

        assert Notification.objects.filter(kind="no_coordinator").exists()

    def test_she_sees_nothing_and_gets_no_token(self, stranger: User) -> None:
        browser = Client()
        browser.force_login(stranger)

        assert browser.get("/admin/")["Location"].startswith("/admin/login/")
        assert not browser.get("/api/v1/mentors").json()["results"]
        with pytest.raises(NoRole):
            issue_token(stranger)


class TestWhoHasAnAccount:
    @pytest.fixture
    def link(self, clock: Any, olav: User, kari: User, hlf: Organisation, post: MailServer) -> str:
        kari.set_password("her own long one")
        kari.save()
        invite_nora(hlf, actor=olav, email=kari.email)
        deliver()
        return link_in(post)

    def test_confirms_too_and_keeps_the_password(self, link: str, kari: User, browser: Client) -> None:
        before = kari.roles.count()
        form = browser.get(link, follow=True)
        assert 'type="password"' not in form.content.decode()

        answer = browser.post(form.request["PATH_INFO"], {})

        kari.refresh_from_db()
        assert answer["Location"] == "/admin/"
        assert (before, kari.roles.count()) == (1, 2)
        assert kari.check_password("her own long one")

    def test_the_link_alone_lets_nobody_in(self, link: str, browser: Client) -> None:
        form = browser.get(link, follow=True)
        browser.post(form.request["PATH_INFO"], {})

        assert browser.get("/admin/")["Location"].startswith("/admin/login/")

    def test_who_accepts_stays_logged_in(self, link: str, kari: User, browser: Client) -> None:
        browser.force_login(User.objects.get(pk=kari.pk))
        form = browser.get(link, follow=True)
        browser.post(form.request["PATH_INFO"], {})

        assert browser.get("/admin/").status_code == 200
