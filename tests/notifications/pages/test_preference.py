"""The page on which a coordinator chooses how to be told, and the button of her mail program."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from django.test import Client

from mentors.models import User
from notifications.links import links_of
from notifications.models import Notification, Preference
from tests.support.pages import everything, heading, preference_path, text

pytestmark = pytest.mark.django_db


class TestPreference:
    def test_it_shows_what_is_chosen(self, client: Client, kari: User) -> None:
        Preference.objects.create(user=kari, mail="weekly", language="en")

        page = client.get(preference_path(kari))

        html = page.content.decode()
        assert heading(page) == "How would you like to be told?"
        assert re.findall(r'name="(\w+)" value="(\w*)" required checked', html) == [
            ("mail", "weekly"),
            ("language", "en"),
        ]
        assert re.findall(r'name="mail" value="(\w*)"', html) == ["", "each", "digest", "weekly", "never"]
        assert re.findall(r'name="language" value="(\w*)"', html) == ["", "nb", "nn", "en"]

    def test_who_has_chosen_nothing_is_told_as_the_organisation_chose(self, client: Client, kari: User) -> None:
        page = client.get(preference_path(kari))

        html = page.content.decode()
        assert re.findall(r'name="(\w+)" value="(\w*)" required checked', html) == [("mail", ""), ("language", "")]
        assert page["Content-Language"] == "nb"

    def test_opening_it_changes_nothing(self, client: Client, kari: User) -> None:
        before = everything()

        for query in ("", "?saved", "?mail=never&language=en", "?List-Unsubscribe=One-Click"):
            assert client.get(preference_path(kari) + query).status_code == 200
            assert client.head(preference_path(kari) + query).status_code == 200

        assert everything() == before

    @pytest.mark.parametrize("mail", ["", "each", "digest", "weekly", "never"])
    def test_the_button_saves_the_choice_and_leads_to_a_page_in_the_chosen_language(
        self, client: Client, kari: User, mail: str
    ) -> None:
        posted = client.post(preference_path(kari), {"mail": mail, "language": "en"})
        page = client.get(posted["Location"])

        chosen = Preference.objects.get(user=kari)
        assert posted.status_code == 303
        assert (chosen.mail, chosen.language, chosen.channel) == (mail, "en", "email")
        assert page["Content-Language"] == "en"
        assert "Your choice is saved." in text(page)

    def test_the_channel_and_its_address_stay(self, client: Client, kari: User) -> None:
        Preference.objects.create(user=kari, channel="sms", address="+4790000012", mail="each", language="nn")

        client.post(preference_path(kari), {"mail": "weekly", "language": "nb"})

        chosen = Preference.objects.get(user=kari)
        assert (chosen.channel, chosen.address, chosen.mail, chosen.language) == ("sms", "+4790000012", "weekly", "nb")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"mail": "weekly"},
            {"language": "en"},
            {"mail": "hourly", "language": "en"},
            {"mail": "each", "language": "de"},
        ],
    )
    def test_what_is_no_choice_is_not_saved(self, client: Client, kari: User, body: dict[str, str]) -> None:
        Preference.objects.create(user=kari, mail="digest", language="en")

        page = client.post(preference_path(kari), body)

        assert page.status_code == 400
        assert 'role="alert"' in page.content.decode()
        assert list(Preference.objects.values_list("mail", "language")) == [("digest", "en")]

    @pytest.mark.parametrize("is_multipart", [True, False])
    @pytest.mark.parametrize("has_chosen", [True, False])
    def test_a_mail_program_ends_the_summaries_with_one_request(
        self, client: Client, kari: User, is_multipart: bool, has_chosen: bool
    ) -> None:
        if has_chosen:
            Preference.objects.create(user=kari, channel="sms", address="+4790000012", mail="weekly", language="en")
        path = preference_path(kari)

        if is_multipart:
            answer = client.post(path, {"List-Unsubscribe": "One-Click"})
        else:
            answer = client.post(path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")

        chosen = Preference.objects.get(user=kari)
        assert answer.status_code == 200
        assert chosen.mail == "never"
        assert (chosen.channel, chosen.language) == (("sms", "en") if has_chosen else ("email", ""))

    def test_the_summary_of_the_night_carries_the_address(
        self, client: Client, reminder: Notification, kari: User
    ) -> None:
        digest = Notification.objects.get(kind="digest", recipient_user=kari)

        path = urlsplit(links_of(digest).preference).path

        assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
        assert Preference.objects.get(user=kari).mail == "never"

    def test_who_is_no_coordinator_any_more_finds_nothing(self, client: Client, kari: User, auditor: User) -> None:
        path = preference_path(kari)
        User.objects.filter(pk=kari.pk).update(is_active=False)
        inactive = client.post(path, {"List-Unsubscribe": "One-Click"})
        User.objects.filter(pk=kari.pk).update(is_active=True)
        kari.roles.all().delete()

        pages = [inactive, client.get(path), client.get(preference_path(auditor)), client.post(path, {"mail": "each"})]

        assert [page.status_code for page in pages] == [404] * 4
        assert not Preference.objects.exists()
