"""Inviting a coordinator: the role, the e-mail with its link, the account taken over, and nobody beyond one's scope."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from certifications.truth import find_outdated
from mentors.invitations import AccountUnclear, InvitationAccepted, InvitationTokens, invite_coordinator
from mentors.models import Chapter, CoordinatorRole, Organisation, User
from notifications.delivery import deliver_all
from notifications.invitations import NoAddressOfOurs, invite, invite_again
from notifications.messages.message import gather, read_notifications
from notifications.messages.words import write_letter
from notifications.models import Notification
from tests.conftest import NOW
from tests.mentors.desk.test_second_factor import code_of, key_on
from tests.support.mail import MailServer, mail_server

pytestmark = pytest.mark.django_db

INVITE = "/admin/mentors/coordinatorrole/invite/"
NEW = {"new_password1": "a long and new one", "new_password2": "a long and new one"}


@pytest.fixture(autouse=True)
def _set_up(settings: Any) -> None:
    settings.PUBLIC_URL = "https://nattevakt.example.org"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def post(settings: Any) -> Iterator[MailServer]:
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
        yield server


@pytest.fixture
def browser() -> Client:
    return Client(headers={"accept-language": "en"})


def invite_nora(organisation: Organisation, *, actor: User, chapter: Chapter | None = None, **fields: Any) -> Any:
    given: dict[str, Any] = {
        "name": "Nora Lie Dahl",
        "email": "Nora@example.org",
        "duty": "coordinator",
        "now": NOW,
    } | fields
    return invite(organisation=organisation, chapter=chapter, actor=actor, **given)


def deliver(now: datetime = NOW) -> None:
    deliver_all(now=lambda: now, find_outdated=find_outdated)


def text_in(post: MailServer) -> str:
    body: Any = post.received[-1].get_body(("plain",))
    text: str = body.get_content()
    return text


def link_in(post: MailServer) -> str:
    found = re.search(r"https://nattevakt\.example\.org(/admin/invitation/\S+)", text_in(post))
    assert found
    return found[1]


def accept(browser: Client, link: str) -> Any:
    form = browser.get(link, follow=True)
    return browser.post(form.request["PATH_INFO"], NEW)


class TestInviting:
    def test_it_makes_an_account_and_its_role(self, olav: User, oslo: Chapter) -> None:
        invite_nora(oslo.organisation, actor=olav, chapter=oslo)

        nora = User.objects.get(username="nora@example.org")
        assert (nora.first_name, nora.last_name, nora.email) == ("Nora Lie", "Dahl", "nora@example.org")
        assert (nora.has_usable_password(), nora.is_staff, nora.is_superuser) == (False, False, False)
        assert [(role.organisation, role.chapter, role.duty) for role in nora.roles.all()] == [
            (oslo.organisation, oslo, "coordinator")
        ]

    def test_twice_is_once(self, olav: User, hlf: Organisation) -> None:
        first, second = (invite_nora(hlf, actor=olav).is_new for _ in range(2))

        assert (first, second) == (True, False)
        assert (CoordinatorRole.objects.exclude(user=olav).count(), Notification.objects.count()) == (1, 1)

    @pytest.mark.parametrize("email", ["kari@example.org", "KARI@example.org"])
    def test_who_has_an_account_gets_the_role_only(
        self, olav: User, kari: User, hlf: Organisation, bergen: Chapter, email: str
    ) -> None:
        kari.set_password("her own long one")
        kari.save()

        invite_nora(hlf, actor=olav, chapter=bergen, email=email, name="Somebody Else")

        kari.refresh_from_db()
        assert (kari.roles.count(), kari.first_name, kari.check_password("her own long one")) == (2, "", True)
        assert User.objects.count() == 2

    def test_a_closed_account_stays_closed(self, olav: User, kari: User, hlf: Organisation) -> None:
        User.objects.filter(pk=kari.pk).update(is_active=False)

        with pytest.raises(AccountUnclear, match="is closed"):
            invite_nora(hlf, actor=olav, email=kari.email)

    def test_an_address_of_several_accounts_is_nobodys(self, olav: User, kari: User, hlf: Organisation) -> None:
        User.objects.create_user("other", email=kari.email)

        with pytest.raises(AccountUnclear, match="Several accounts"):
            invite_nora(hlf, actor=olav, email=kari.email)

    @pytest.mark.parametrize(("duty", "said"), [("coordinator", "another organisation"), ("auditor", "no chapter")])
    def test_the_chapter_goes_with_the_organisation_and_the_duty(
        self, hlf: Organisation, oslo: Chapter, elsewhere: Chapter, duty: str, said: str
    ) -> None:
        chapter = elsewhere if duty == "coordinator" else oslo

        with pytest.raises(ValidationError, match=said):
            invite_coordinator(organisation=hlf, name="N", email="n@example.org", duty=duty, chapter=chapter)

        assert not User.objects.filter(username="n@example.org").exists()

    def test_without_an_address_for_the_link_nobody_is_invited(
        self, olav: User, hlf: Organisation, settings: Any
    ) -> None:
        settings.PUBLIC_URL = ""

        with pytest.raises(NoAddressOfOurs):
            invite_nora(hlf, actor=olav)

        assert not User.objects.filter(username="nora@example.org").exists()

    def test_it_is_sent_again_until_it_is_accepted(self, olav: User, hlf: Organisation) -> None:
        role = invite_nora(hlf, actor=olav).role

        invite_again(role, actor=olav, now=NOW + timedelta(hours=1))
        invite_again(role, actor=olav, now=NOW + timedelta(hours=1))  # a second press
        role.user.refresh_from_db()
        role.user.set_password("a long and new one")
        role.user.save()

        assert Notification.objects.count() == 2
        with pytest.raises(InvitationAccepted):
            invite_again(role, actor=olav, now=NOW + timedelta(hours=2))


class TestMail:
    def test_it_leaves_at_once_in_the_organisations_language(
        self, olav: User, hlf: Organisation, post: MailServer
    ) -> None:
        Organisation.objects.update(language="en", sending_from=time(8), sending_until=time(9))  # it is noon
        hlf.refresh_from_db()

        invite_nora(hlf, actor=olav)
        deliver()

        (message,) = post.to("nora@example.org")
        assert message["Subject"] == "You are invited to Nattevakt, for HLF"
        text = text_in(post)
        assert "You are now a coordinator of the whole of HLF." in text
        assert "nora@example.org" in text
        assert "Hi Nora," in text

    @pytest.mark.parametrize(
        ("duty", "in_chapter", "said"),
        [
            ("coordinator", True, "You are now a coordinator of Oslo in HLF."),
            ("auditor", False, "You may now read what the night runs of HLF have done."),
        ],
    )
    def test_it_says_to_what(
        self, olav: User, hlf: Organisation, oslo: Chapter, post: MailServer, duty: str, in_chapter: bool, said: str
    ) -> None:
        Organisation.objects.update(language="en")
        hlf.refresh_from_db()

        invite_nora(hlf, actor=olav, duty=duty, chapter=oslo if in_chapter else None)
        deliver()

        assert said in text_in(post)

    def test_its_secret_is_in_no_table(self, olav: User, hlf: Organisation, post: MailServer) -> None:
        invite_nora(hlf, actor=olav)
        deliver()

        row = Notification.objects.get()
        (shown,) = gather(read_notifications().filter(pk=row.pk), now=NOW)
        token = link_in(post).split("/")[-2]
        assert (row.status, shown.links.invitation) == ("sent", "")
        assert token not in str(Notification.objects.values())
        assert "invitation/" not in str(write_letter(shown))

    def test_who_can_log_in_already_gets_no_link_to_a_password(
        self, olav: User, kari: User, hlf: Organisation, post: MailServer
    ) -> None:
        kari.set_password("her own long one")
        kari.save()

        invite_nora(hlf, actor=olav, email=kari.email)
        deliver()

        assert "/admin/invitation/" not in text_in(post)
        assert "https://nattevakt.example.org/admin/" in text_in(post)

    def test_a_mail_server_that_fails_is_tried_again_outside_the_sending_hours_too(
        self, olav: User, hlf: Organisation, post: MailServer
    ) -> None:
        Organisation.objects.update(sending_from=time(8), sending_until=time(9))
        hlf.refresh_from_db()
        post.at_rcpt = lambda _address: "451 later"
        invite_nora(hlf, actor=olav)
        deliver()
        post.at_rcpt = None

        deliver(NOW + timedelta(minutes=10))

        assert len(post.received) == 1


class TestAccepting:
    @pytest.fixture
    def link(self, clock: Any, olav: User, hlf: Organisation, post: MailServer) -> str:
        invite_nora(hlf, actor=olav)
        deliver()
        return link_in(post)

    def test_a_password_an_app_and_one_is_in(self, link: str, browser: Client, settings: Any, clock: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True

        after_password = accept(browser, link)
        half_way = browser.get("/admin/").status_code, browser.get("/api/v1/me").status_code
        key = key_on(browser.get(after_password["Location"]).content.decode())
        codes = browser.post(after_password["Location"], {"code": code_of(key)})

        assert after_password["Location"].startswith("/admin/second-factor/device/")
        assert half_way == (302, 401)
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


class TestDesk:
    FIELDS = {"name": "Nora Dahl", "email": "nora@example.org", "duty": "coordinator"}

    def test_olav_invites(self, olav: User, oslo: Chapter, browser: Client) -> None:
        browser.force_login(olav)

        listed = browser.get(reverse("admin:mentors_coordinatorrole_changelist")).content.decode()
        answer = browser.post(
            INVITE, self.FIELDS | {"organisation": oslo.organisation_id, "chapter": oslo.pk}, follow=True
        )

        assert f'href="{INVITE}"' in listed
        page = answer.content.decode()
        assert "nora@example.org is invited." in page
        assert "Nora Dahl" in page
        assert CoordinatorRole.objects.get(user__username="nora@example.org").chapter == oslo

    def test_one_organisation_is_not_asked_for_and_several_are(
        self, olav: User, elsewhere: Chapter, browser: Client
    ) -> None:
        browser.force_login(olav)
        of_one = browser.get(INVITE).content.decode()
        CoordinatorRole.objects.create(user=olav, organisation=elsewhere.organisation)
        of_two = browser.get(INVITE).content.decode()

        assert ('type="hidden" name="organisation"' in of_one, '<select name="organisation"' in of_two) == (True, True)
        assert ("Other: Oslo" in of_one, "Other: Oslo" in of_two) == (False, True)

    def test_olav_invites_to_no_other_organisation_and_none_of_its_chapters(
        self, olav: User, hlf: Organisation, elsewhere: Chapter, browser: Client
    ) -> None:
        browser.force_login(olav)

        for place in (
            {"organisation": elsewhere.organisation_id},
            {"organisation": elsewhere.organisation_id, "chapter": elsewhere.pk},
            {"organisation": hlf.pk, "chapter": elsewhere.pk},
        ):
            assert browser.post(INVITE, self.FIELDS | place).status_code == 422

        assert not User.objects.filter(username="nora@example.org").exists()

    @pytest.mark.parametrize("who", ["kari", "auditor"])
    def test_nobody_else_invites(
        self, request: pytest.FixtureRequest, hlf: Organisation, browser: Client, who: str
    ) -> None:
        browser.force_login(request.getfixturevalue(who))

        answers = (
            browser.get(INVITE).status_code,
            browser.post(INVITE, self.FIELDS | {"organisation": hlf.pk}).status_code,
        )

        assert answers == (403, 403)
        assert not User.objects.filter(username="nora@example.org").exists()

    def test_the_invitation_is_sent_again_from_the_desk(self, olav: User, hlf: Organisation, browser: Client) -> None:
        role = invite_nora(hlf, actor=olav, now=NOW - timedelta(hours=1)).role
        browser.force_login(olav)
        url = f"/admin/mentors/coordinatorrole/{role.pk}/send_again/"

        asked = browser.get(url).content.decode()
        browser.post(url)

        assert "nora@example.org gets a new link" in asked
        assert Notification.objects.count() == 2

    def test_what_is_refused_is_said_in_the_form(self, olav: User, kari: User, browser: Client) -> None:
        kari.set_password("her own long one")
        kari.save()
        role = kari.roles.get()
        browser.force_login(olav)

        answer = browser.post(f"/admin/mentors/coordinatorrole/{role.pk}/send_again/")

        assert answer.status_code == 422
        assert "The invitation has been accepted" in answer.content.decode()

    def test_a_role_elsewhere_is_not_there(self, olav: User, elsewhere: Chapter, browser: Client) -> None:
        stranger = User.objects.create_user("stranger", email="stranger@example.org")
        role = CoordinatorRole.objects.create(user=stranger, organisation=elsewhere.organisation)
        browser.force_login(olav)

        again = browser.post(f"/admin/mentors/coordinatorrole/{role.pk}/send_again/")
        ended = browser.post(f"/admin/mentors/coordinatorrole/{role.pk}/delete/", {"post": "yes"})

        assert (again.status_code, ended.status_code) == (404, 302)
        assert CoordinatorRole.objects.filter(pk=role.pk).exists()
        assert not Notification.objects.exists()

    def test_nobody_but_operations_gives_roles_by_a_users_id(
        self, olav: User, hlf: Organisation, browser: Client
    ) -> None:
        stranger = User.objects.create_user("stranger")
        browser.force_login(olav)

        answer = browser.post(
            "/admin/mentors/coordinatorrole/add/",
            {"user": stranger.pk, "organisation": hlf.pk, "duty": "coordinator"},
        )

        assert answer.status_code == 403
        assert not stranger.roles.exists()

    def test_a_role_keeps_its_user(
        self, olav: User, kari: User, oslo: Chapter, bergen: Chapter, browser: Client
    ) -> None:
        role = kari.roles.get()
        stranger = User.objects.create_user("stranger")
        browser.force_login(olav)

        browser.post(
            f"/admin/mentors/coordinatorrole/{role.pk}/change/",
            {"user": stranger.pk, "duty": "coordinator", "chapter": bergen.pk},
        )

        role.refresh_from_db()
        assert (role.user, role.chapter) == (kari, bergen)

    def test_ending_a_role_ends_the_access_at_once(self, olav: User, kari: User, browser: Client) -> None:
        at_work = Client()
        at_work.force_login(kari)
        assert at_work.get("/admin/").status_code == 200
        browser.force_login(olav)

        browser.post(f"/admin/mentors/coordinatorrole/{kari.roles.get().pk}/delete/", {"post": "yes"})

        assert at_work.get("/admin/")["Location"].startswith("/admin/login/")

    def test_no_page_needs_many_queries(
        self, olav: User, hlf: Organisation, bergen: Chapter, browser: Client, django_assert_max_num_queries: Any
    ) -> None:
        roles = [invite_nora(hlf, actor=olav, email=f"n{n}@example.org", chapter=bergen).role for n in range(5)]
        browser.force_login(olav)

        for url in (
            INVITE,
            "/admin/mentors/coordinatorrole/",
            f"/admin/mentors/coordinatorrole/{roles[0].pk}/change/",
            f"/admin/mentors/coordinatorrole/{roles[0].pk}/send_again/",
        ):
            with django_assert_max_num_queries(12):
                assert browser.get(url).status_code == 200
