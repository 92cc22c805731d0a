"""Inviting at the desk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mentors.accounts.invitations import accept_invitation
from mentors.models import Chapter, CoordinatorRole, Invitation, Organisation, User
from notifications.models import Notification
from tests.conftest import NOW
from tests.support.invitations import invite_nora

pytestmark = pytest.mark.django_db
INVITE = "/admin/mentors/coordinatorrole/invite/"


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
        assert Invitation.objects.get(user__username="nora@example.org").chapter == oslo
        assert not CoordinatorRole.objects.filter(user__username="nora@example.org").exists()

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
        invitation = invite_nora(hlf, actor=olav, now=NOW - timedelta(hours=1)).invitation
        browser.force_login(olav)
        url = f"/admin/mentors/invitation/{invitation.pk}/send_again/"

        asked = browser.get(url).content.decode()
        browser.post(url)

        assert "nora@example.org gets a new link" in asked
        assert Notification.objects.count() == 2

    def test_one_that_is_accepted_is_not_there_any_more(self, olav: User, hlf: Organisation, browser: Client) -> None:
        invitation = invite_nora(hlf, actor=olav).invitation
        pk = invitation.pk
        accept_invitation(invitation)
        browser.force_login(olav)

        assert browser.post(f"/admin/mentors/invitation/{pk}/send_again/").status_code == 404

    def test_the_list_says_whose_link_is_too_old(self, olav: User, hlf: Organisation, browser: Client) -> None:
        invite_nora(hlf, actor=olav, now=NOW - timedelta(days=8))
        invite_nora(hlf, actor=olav, now=NOW, email="ny@example.org", name="Ny")
        browser.force_login(olav)

        page = browser.get("/admin/mentors/invitation/").content.decode()

        assert ("nora@example.org" in page, page.count("too old"), "Nora Lie Dahl" in page) == (True, 1, True)

    def test_what_is_refused_is_said_in_the_form(
        self, olav: User, hlf: Organisation, browser: Client, settings: Any
    ) -> None:
        invitation = invite_nora(hlf, actor=olav).invitation
        settings.PUBLIC_URL = ""
        browser.force_login(olav)

        answer = browser.post(f"/admin/mentors/invitation/{invitation.pk}/send_again/")

        assert answer.status_code == 422
        assert "PUBLIC_URL is not set" in answer.content.decode()

    def test_what_is_elsewhere_is_not_there(self, olav: User, elsewhere: Chapter, browser: Client) -> None:
        stranger = User.objects.create_user("stranger", email="stranger@example.org")
        role = CoordinatorRole.objects.create(user=stranger, organisation=elsewhere.organisation)
        invitation = Invitation.objects.create(
            user=stranger, organisation=elsewhere.organisation, duty="auditor", sent_at=NOW
        )
        browser.force_login(olav)

        listed = browser.get("/admin/mentors/invitation/").content.decode()
        again = browser.post(f"/admin/mentors/invitation/{invitation.pk}/send_again/")
        withdrawn = browser.post(f"/admin/mentors/invitation/{invitation.pk}/delete/", {"post": "yes"})
        ended = browser.post(f"/admin/mentors/coordinatorrole/{role.pk}/delete/", {"post": "yes"})

        assert "stranger" not in listed
        assert (again.status_code, withdrawn.status_code, ended.status_code) == (404, 302, 302)
        assert CoordinatorRole.objects.filter(pk=role.pk).exists()
        assert Invitation.objects.filter(pk=invitation.pk).exists()
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
        invited = [invite_nora(hlf, actor=olav, email=f"n{n}@example.org", chapter=bergen).invitation for n in range(5)]
        role = olav.roles.get()
        browser.force_login(olav)

        for url in (
            INVITE,
            "/admin/mentors/coordinatorrole/",
            f"/admin/mentors/coordinatorrole/{role.pk}/change/",
            "/admin/mentors/invitation/",
            f"/admin/mentors/invitation/{invited[0].pk}/change/",
            f"/admin/mentors/invitation/{invited[0].pk}/send_again/",
        ):
            browser.get(url)  # which fills what a process remembers
            with django_assert_max_num_queries(12):
                assert browser.get(url).status_code == 200
