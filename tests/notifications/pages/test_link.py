"""What a link is good for, for whom, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from time_machine import Traveller

from mentors.models import Mentor, User
from notifications.links import ANSWER, PREFERENCE
from notifications.models import Answer, Notification, Preference
from notifications.signing import sign_id
from tests.support.pages import HELP, Path, everything, heading, preference_path, text

pytestmark = pytest.mark.django_db


class TestLink:
    @pytest.mark.parametrize("change", ["its id", "its end", "nonsense"])
    def test_a_changed_link_is_404(self, client: Client, to: Path, kari: User, change: str) -> None:
        before = everything()

        def changed(path: str) -> str:
            _, first, token, *rest = path.split("/")
            id, _, signature = token.partition(".")
            token = {"its id": f"{int(id) + 1}.{signature}", "its end": token[:-1], "nonsense": "å.%00.x"}[change]
            return "/".join(["", first, token, *rest])

        paths = [changed(path) for path in (to(), to(HELP), preference_path(kari))]
        answers = [ask(path) for path in paths for ask in (client.get, client.head, client.post)]

        assert [answer.status_code for answer in answers] == [404] * 9
        assert heading(answers[0]) == "This link does not work"
        assert everything() == before

    def test_a_link_does_only_what_it_is_for(self, client: Client, reminder: Notification, kari: User) -> None:
        answer, preference = sign_id(reminder.pk, purpose=ANSWER), sign_id(kari.pk, purpose=PREFERENCE)

        wrong = [
            client.post(reverse("preference", args=[answer]), {"List-Unsubscribe": "One-Click"}),
            client.post(reverse("answer", args=[preference, HELP])),
            client.get(reverse("answer", args=[answer, "maybe"])),
            client.post(reverse("answer", args=[answer, "maybe"])),
        ]

        assert [page.status_code for page in wrong] == [404] * 4
        assert not Answer.objects.exists()
        assert not Preference.objects.exists()

    def test_a_message_that_is_gone_or_was_for_somebody_else_is_404(
        self, client: Client, kari: User, reminder: Notification
    ) -> None:
        to_kari = Notification.objects.filter(recipient_user=kari).earliest("pk")

        tokens = [sign_id(pk, purpose=ANSWER) for pk in (to_kari.pk, 10**9)]

        assert [client.get(reverse("answer", args=[token])).status_code for token in tokens] == [404] * 2

    def test_an_old_link_says_so_kindly_in_the_language_of_its_reader_and_does_nothing(
        self, client: Client, to: Path, mentor: Mentor, kari: User, clock: Traveller
    ) -> None:
        Preference.objects.create(user=kari, language="en")
        paths = [to(), to(HELP), preference_path(kari)]
        before = everything()
        clock.shift(timedelta(days=44.9))
        in_time = [client.get(path).status_code for path in paths]
        clock.shift(timedelta(days=0.2))

        answers = [ask(path, headers={"Accept-Language": "nb"}) for path in paths for ask in (client.get, client.post)]

        assert in_time == [200] * 3
        assert [(page.status_code, heading(page)) for page in answers] == [(410, "This link is too old")] * 6
        assert "Take the link in your newest reminder, or get in touch with your coordinator." in text(answers[0])
        assert "Take the link in your newest message." in text(answers[-1])
        assert everything() == before

    def test_an_old_link_of_somebody_who_is_gone_says_so_in_the_language_of_the_browser(
        self, client: Client, kari: User, clock: Traveller
    ) -> None:
        paths = [reverse("answer", args=[sign_id(10**9, purpose=ANSWER)]), preference_path(kari)]
        kari.roles.all().delete()
        clock.shift(timedelta(days=46))

        pages = [client.get(path) for path in paths]

        assert [(page.status_code, page["Content-Language"]) for page in pages] == [(410, "en")] * 2
