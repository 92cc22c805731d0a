"""Inviting a coordinator: the role, and the e-mail with its link."""

from __future__ import annotations

from datetime import time, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from knox.models import AuthToken

from mentors.accounts.invitations import AccountUnclear, accept_invitation, invite_coordinator
from mentors.conflicts import ChangedMeanwhile
from mentors.models import Chapter, CoordinatorRole, Invitation, Organisation, User
from notifications.invitations import NoAddressOfOurs, invite_again
from notifications.messages.context import gather, read_notifications
from notifications.messages.render import render_message
from notifications.models import Notification
from tests.conftest import NOW
from tests.support.delivery import deliver
from tests.support.invitations import invite_nora, link_in, text_in
from tests.support.mail import MailServer

pytestmark = pytest.mark.django_db


class TestInviting:
    def test_it_makes_an_account_and_no_role_yet(self, olav: User, oslo: Chapter) -> None:
        invite_nora(oslo.organisation, actor=olav, chapter=oslo)

        nora = User.objects.get(username="nora@example.org")
        assert (nora.first_name, nora.last_name, nora.email) == ("Nora Lie", "Dahl", "nora@example.org")
        assert (nora.has_usable_password(), nora.is_staff, nora.is_superuser) == (False, False, False)
        assert [(offer.organisation, offer.chapter, offer.duty) for offer in nora.invitations.all()] == [
            (oslo.organisation, oslo, "coordinator")
        ]
        assert not nora.roles.exists()

    def test_twice_is_once(self, olav: User, hlf: Organisation) -> None:
        first, second = (invite_nora(hlf, actor=olav).is_new for _ in range(2))

        assert (first, second) == (True, False)
        assert (Invitation.objects.count(), Notification.objects.count()) == (1, 1)

    @pytest.mark.parametrize("email", ["kari@example.org", "KARI@example.org"])
    def test_who_has_an_account_is_invited_to_the_role_only(
        self, olav: User, kari: User, hlf: Organisation, bergen: Chapter, email: str
    ) -> None:
        kari.set_password("her own long one")
        kari.save()

        invite_nora(hlf, actor=olav, chapter=bergen, email=email, name="Somebody Else")

        kari.refresh_from_db()
        assert (kari.roles.count(), kari.invitations.count()) == (1, 1)
        assert (kari.first_name, kari.check_password("her own long one")) == ("", True)
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
            invite_coordinator(organisation=hlf, name="N", email="n@example.org", duty=duty, chapter=chapter, now=NOW)

        assert not User.objects.filter(username="n@example.org").exists()

    def test_without_an_address_for_the_link_nobody_is_invited(
        self, olav: User, hlf: Organisation, settings: Any
    ) -> None:
        settings.PUBLIC_URL = ""

        with pytest.raises(NoAddressOfOurs):
            invite_nora(hlf, actor=olav)

        assert not User.objects.filter(username="nora@example.org").exists()

    def test_who_has_the_role_already_is_not_invited_to_it(self, olav: User, hlf: Organisation) -> None:
        invited = invite_nora(hlf, actor=olav, email=olav.email)

        assert (invited.is_new, Invitation.objects.count(), Notification.objects.count()) == (False, 0, 0)

    def test_it_is_sent_again_until_it_is_accepted(self, olav: User, hlf: Organisation) -> None:
        invitation = invite_nora(hlf, actor=olav).invitation

        invite_again(invitation, actor=olav, now=NOW + timedelta(hours=1))
        invite_again(invitation, actor=olav, now=NOW + timedelta(hours=1))  # a second press
        role = accept_invitation(invitation)

        assert Notification.objects.count() == 2
        assert (role.user.username, role.organisation) == ("nora@example.org", hlf)
        for late in (lambda: invite_again(invitation, actor=olav, now=NOW), lambda: accept_invitation(invitation)):
            with pytest.raises(ChangedMeanwhile):
                late()


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
        assert "You are invited to be a coordinator of the whole of HLF." in text
        assert "nora@example.org" in text
        assert "Hi Nora," in text

    @pytest.mark.parametrize(
        ("duty", "in_chapter", "said"),
        [
            ("coordinator", True, "You are invited to be a coordinator of Oslo in HLF."),
            ("auditor", False, "You are invited to read what the night runs of HLF have done."),
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
        assert "invitation/" not in str(render_message(shown))

    def test_who_can_log_in_already_is_asked_too_and_chooses_no_password(
        self, olav: User, kari: User, hlf: Organisation, post: MailServer
    ) -> None:
        kari.set_password("her own long one")
        kari.save()

        invite_nora(hlf, actor=olav, email=kari.email)
        deliver()

        assert "/admin/invitation/" in link_in(post)
        assert "password" not in text_in(post).lower().replace("passord", "password")

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


def test_who_was_invited_before_and_has_never_come_is_offered_the_role_and_others_keep_theirs(
    olav: User, kari: User, hlf: Organisation, oslo: Chapter
) -> None:
    """The migration: a program with a token, and who has a password or has been here, have come."""
    olav.set_password("his own long one")
    olav.save()
    stranger, program = (User.objects.create(username=name, password="!") for name in ("stranger", "program"))
    for user in (stranger, program):
        CoordinatorRole.objects.create(user=user, organisation=hlf, chapter=oslo)
    AuthToken.objects.create(program)
    User.objects.filter(pk=kari.pk).update(last_login=NOW)

    with connection.cursor() as cursor:
        cursor.execute(import_module("mentors.migrations.0010_invitations").OFFER)

    offered = Invitation.objects.get()
    assert (offered.user, offered.organisation, offered.chapter, offered.duty) == (stranger, hlf, oslo, "coordinator")
    assert set(CoordinatorRole.objects.values_list("user__username", flat=True)) == {"kari", "olav", "program"}
