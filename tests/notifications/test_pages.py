"""The pages behind the links in messages: opened by anything that scans mail, acted on by a person, without a login."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from certifications.models import Certification, CertificationType, Exemption
from mentors.models import Mentor, Organisation, User
from notifications.links import ANSWER, PREFERENCE, links_of
from notifications.models import Answer, Notification, Preference
from notifications.signing import sign_id
from tests.conftest import NOW, TODAY, Certify
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db

RENEWING, STOPPING, HELP = Answer.Choice.RENEWING, Answer.Choice.STOPPING, Answer.Choice.HELP
# What only a browser of somebody who reads English sends; the pages follow the reader, not the browser.
BROWSER = {"Accept-Language": "en"}
Path = Callable[..., str]


@pytest.fixture(autouse=True)
def _clock(now: datetime, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(timezone, "now", lambda: now)
    settings.PUBLIC_URL = "https://nattevakt.example"


@pytest.fixture
def client() -> Client:
    """A browser that holds nothing back: a form without a CSRF token would be refused."""
    return Client(enforce_csrf_checks=True, headers=BROWSER)


@pytest.fixture
def mentor(mentor: Mentor) -> Mentor:
    mentor.language = "en"
    mentor.save()
    return mentor


@pytest.fixture
def held(mentor: Mentor, certify: Certify) -> Certification:
    return certify(mentor, expires_in=14)


@pytest.fixture
def reminder(hlf: Organisation, mentor: Mentor, held: Certification, kari: User) -> Notification:
    """Return what the night wrote to the mentor."""
    run_night(hlf, TODAY, now=NOW)
    return Notification.objects.get(recipient_mentor=mentor)


@pytest.fixture
def to(reminder: Notification) -> Path:
    """Return the path of a link in the reminder: `to()`, or `to(HELP)`."""
    links = links_of(reminder)

    def path(choice: Answer.Choice | None = None) -> str:
        return urlsplit(links.answers[choice] if choice else links.answer).path

    return path


def preference_path(user: User) -> str:
    return reverse("preference", args=[sign_id(user.pk, purpose=PREFERENCE)])


def everything() -> list[Any]:
    """Return all that a page could change."""
    return [list(model.objects.order_by("pk").values()) for model in (Answer, Preference, Notification, Mentor)]


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", response.content.decode(), flags=re.DOTALL))


def heading(response: Any) -> str:
    [found] = re.findall(r"<h1>(.*?)</h1>", response.content.decode())
    return str(found)


def forms(response: Any) -> list[str]:
    return re.findall(r'<form method="post" action="([^"]+)"', response.content.decode())


def pass_days(days: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time by which links expire pass."""
    later = time.time() + days * 86400
    monkeypatch.setattr(time, "time", lambda: later)


class TestAnswer:
    def test_without_a_choice_it_says_what_it_is_about_and_offers_all_three(self, client: Client, to: Path) -> None:
        page = client.get(to())

        assert page.status_code == 200
        assert heading(page) == "What is your answer?"
        assert "A reminder from HLF was about this: Kurs, expires on Dec. 5, 2026" in text(page)
        assert forms(page) == [to(RENEWING), to(STOPPING), to(HELP)]

    @pytest.mark.parametrize("choice", [RENEWING, STOPPING, HELP])
    def test_with_a_choice_it_asks_for_that_one_and_leads_to_the_others(
        self, client: Client, to: Path, choice: Answer.Choice
    ) -> None:
        page = client.get(to(choice))

        assert heading(page) == "Is this your answer?"
        assert f"Yes: {choice.label}" in text(page)
        assert forms(page) == [to(choice)]
        assert re.findall(r'<a href="([^"]+)"', page.content.decode()) == [
            to(other) for other in Answer.Choice if other != choice
        ]

    def test_opening_it_changes_nothing(self, client: Client, to: Path) -> None:
        before = everything()

        for path in (to(), to(RENEWING), to(STOPPING), to(HELP)):
            assert client.get(path).status_code == client.head(path).status_code == 200
            assert client.options(path).status_code == 405

        assert everything() == before

    def test_the_button_records_the_answer_and_leads_to_thanks_that_can_be_loaded_again(
        self, client: Client, to: Path, mentor: Mentor, now: datetime
    ) -> None:
        posted = client.post(to(HELP))
        before = everything()
        thanks = [client.get(posted["Location"]) for _ in range(2)]

        assert posted.status_code == 303
        assert [(answer.mentor, answer.choice, answer.at) for answer in Answer.objects.all()] == [(mentor, "help", now)]
        assert [heading(page) for page in thanks] == ["Thank you for your answer!"] * 2
        assert forms(thanks[0]) == []
        assert everything() == before

    @pytest.mark.parametrize(
        ("choice", "channels", "next"),
        [
            (RENEWING, {"inbox"}, "so that it is registered before Dec. 6, 2026. Otherwise you are paused"),
            (STOPPING, {"inbox", "email"}, "settles the rest with you. Your answer alone changes nothing."),
            (HELP, {"inbox", "email"}, "Your coordinator is told, and gets in touch with you."),
        ],
    )
    def test_the_thanks_say_what_happens_next_and_the_coordinator_is_told(
        self, client: Client, to: Path, choice: Answer.Choice, channels: set[str], next: str
    ) -> None:
        thanks = client.post(to(choice), follow=True)

        told = Notification.objects.filter(kind="answer", recipient_user__username="kari")
        assert set(told.values_list("channel", flat=True)) == channels
        assert next in text(thanks)
        assert ("You get no more reminders of this." in text(thanks)) == (choice != HELP)

    def test_a_second_time_does_nothing_twice(self, client: Client, to: Path) -> None:
        client.post(to(STOPPING))
        before = everything()

        again = client.post(to(STOPPING), follow=True)

        assert heading(again) == "Thank you for your answer!"
        assert everything() == before

    def test_another_answer_can_follow_and_the_page_says_what_was_answered(self, client: Client, to: Path) -> None:
        client.post(to(RENEWING))

        page = client.get(to())
        client.post(to(HELP))

        assert "You have answered this already: I am renewing." in text(page)
        assert len(forms(page)) == 3
        assert set(Answer.objects.values_list("choice", flat=True)) == {RENEWING, HELP}

    def test_without_a_choice_there_is_nothing_to_post(self, client: Client, to: Path) -> None:
        refused = client.post(to())

        assert (refused.status_code, refused["Allow"]) == (405, "GET, HEAD")

    def test_of_an_optional_type_nobody_is_paused(self, client: Client, to: Path, course: CertificationType) -> None:
        course.required = False
        course.save()

        thanks = text(client.post(to(RENEWING), follow=True))

        assert "paused" not in thanks
        assert "Send the new certification to your coordinator as soon as you have it." in thanks

    def test_nobody_is_threatened_with_a_pause_that_will_not_come(
        self, client: Client, to: Path, hlf: Organisation, mentor: Mentor, course: CertificationType, olav: User
    ) -> None:
        Exemption.objects.create(
            mentor=mentor, type=course, from_on=TODAY, until_on=TODAY + timedelta(days=60), approved_by=olav
        )
        exempt = text(client.post(to(RENEWING), follow=True))
        Exemption.objects.all().delete()
        hlf.auto_pause = False
        hlf.save()

        switched_off = text(client.get(to(RENEWING)))

        assert "paused" not in exempt + switched_off

    def test_only_what_still_waits_is_shown(
        self,
        client: Client,
        hlf: Organisation,
        mentor: Mentor,
        certify: Certify,
        kari: User,
        secrecy: CertificationType,
    ) -> None:
        certify(mentor, expires_in=14)
        certify(mentor, expires_in=20, type=secrecy)
        run_night(hlf, TODAY, now=NOW)
        path = urlsplit(links_of(Notification.objects.get(recipient_mentor=mentor)).answer).path
        both = text(client.get(path))
        certify(mentor, issued=0, type=secrecy)

        one = text(client.get(path))

        assert ("Kurs, expires" in both, "Taushet, expires" in both) == (True, True)
        assert ("Kurs, expires" in one, "Taushet" in one) == (True, False)

    @pytest.mark.parametrize("change", ["renewed", "revoked", "corrected"])
    def test_what_is_renewed_or_no_longer_due_asks_for_nothing(
        self,
        client: Client,
        to: Path,
        mentor: Mentor,
        held: Certification,
        certify: Certify,
        now: datetime,
        change: str,
    ) -> None:
        match change:
            case "renewed":
                certify(mentor, issued=0)
            case "revoked":
                Certification.objects.update(revoked_at=now)
            case _:
                Certification.objects.update(expires_on=TODAY + timedelta(days=300))
        before = everything()

        pages = [client.get(to()), client.get(to(HELP)), client.post(to(HELP), follow=True)]

        assert [(page.status_code, heading(page)) for page in pages] == [(200, "You need not do anything")] * 3
        assert [forms(page) for page in pages] == [[], [], []]
        assert "is no longer due. Thank you! Kurs" in text(pages[0])
        assert everything() == before

    def test_what_has_expired_meanwhile_can_still_be_answered(
        self, client: Client, to: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(timezone, "now", lambda: now + timedelta(days=20))

        page = client.get(to())
        thanks = client.post(to(RENEWING), follow=True)

        assert "Kurs, expired on Dec. 5, 2026" in text(page)
        assert len(forms(page)) == 3
        assert "as soon as you have it" in text(thanks)
        assert Answer.objects.get().choice == RENEWING

    def test_an_ended_mentor_is_asked_for_nothing(self, client: Client, to: Path, mentor: Mentor) -> None:
        mentor.status = Mentor.Status.ENDED
        mentor.save()

        pages = [client.get(to()), client.get(to(HELP)), client.post(to(HELP), follow=True)]

        assert [(page.status_code, heading(page)) for page in pages] == [(200, "You need not do anything")] * 3
        assert "no longer a peer mentor in HLF" in text(pages[0])
        assert [forms(page) for page in pages] == [[], [], []]
        assert not Answer.objects.exists()

    @pytest.mark.parametrize(
        ("language", "month", "answer"),
        [
            ("nb", "5. desember 2026", "Jeg fornyer"),
            ("nn", "5. desember 2026", "Eg fornyar"),
            ("en", "Dec. 5, 2026", "I am renewing"),
        ],
    )
    def test_it_speaks_the_language_of_the_mentor_not_of_the_browser(
        self, client: Client, to: Path, mentor: Mentor, language: str, month: str, answer: str
    ) -> None:
        mentor.language = language
        mentor.save()

        page = client.get(to(RENEWING), headers={"Accept-Language": "nb" if language == "en" else "en"})

        assert page["Content-Language"] == language
        assert f'<html lang="{language}">' in page.content.decode()
        assert month in text(page)
        assert answer in text(page)

    def test_names_are_text(self, client: Client, to: Path, hlf: Organisation, course: CertificationType) -> None:
        hlf.name = course.name = "<script>alert(1)</script>"
        hlf.save()
        course.save()

        for page in (client.get(to()), client.get(to(HELP)), client.post(to(HELP), follow=True)):
            assert "<script" not in page.content.decode()


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
        self, client: Client, to: Path, mentor: Mentor, kari: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Preference.objects.create(user=kari, language="en")
        paths = [to(), to(HELP), preference_path(kari)]
        before = everything()
        pass_days(44.9, monkeypatch)
        in_time = [client.get(path).status_code for path in paths]
        pass_days(0.2, monkeypatch)

        answers = [ask(path, headers={"Accept-Language": "nb"}) for path in paths for ask in (client.get, client.post)]

        assert in_time == [200] * 3
        assert [(page.status_code, heading(page)) for page in answers] == [(410, "This link is too old")] * 6
        assert "Take the link in your newest reminder, or get in touch with your coordinator." in text(answers[0])
        assert "Take the link in your newest message." in text(answers[-1])
        assert everything() == before

    def test_an_old_link_of_somebody_who_is_gone_says_so_in_the_language_of_the_browser(
        self, client: Client, kari: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paths = [reverse("answer", args=[sign_id(10**9, purpose=ANSWER)]), preference_path(kari)]
        kari.roles.all().delete()
        pass_days(46, monkeypatch)

        pages = [client.get(path) for path in paths]

        assert [(page.status_code, page["Content-Language"]) for page in pages] == [(410, "en")] * 2


@pytest.fixture
def pages(
    client: Client,
    to: Path,
    kari: User,
    mentor: Mentor,
    held: Certification,
    certify: Certify,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """Return every page that there is, each as a way to get it."""

    def every() -> Iterator[tuple[str, Callable[[], Any]]]:
        preference = preference_path(kari)
        yield "choose", lambda: client.get(to())
        yield "confirm", lambda: client.get(to(RENEWING))
        yield "answer", lambda: client.post(to(RENEWING))
        yield "choose again", lambda: client.get(to())
        yield "thanks", lambda: client.get(to(RENEWING))
        yield "answered", lambda: client.post(to(RENEWING))
        yield "wrong link", lambda: client.get(to() + "maybe/")
        yield "changed link", lambda: client.get("/a/1.2.3/")
        yield "preference", lambda: client.get(preference)
        yield "no preference", lambda: client.post(preference, {})
        yield "saved preference", lambda: client.post(preference, {"mail": "each", "language": ""})
        yield "unsubscribed", lambda: client.post(preference, {"List-Unsubscribe": "One-Click"})
        certify(mentor, issued=0)
        yield "renewed", lambda: client.get(to())
        Mentor.objects.filter(pk=mentor.pk).update(status=Mentor.Status.ENDED)
        yield "ended", lambda: client.get(to())
        pass_days(46, monkeypatch)
        yield "old answer", lambda: client.get(to())
        yield "old preference", lambda: client.get(preference)

    return every()


def test_every_page_costs_at_most_four_queries(pages: Any, django_assert_max_num_queries: Any) -> None:
    # To write needs more, and each savepoint counts as two.
    limits = {"answer": 12, "answered": 5}
    for name, get in pages:
        with django_assert_max_num_queries(limits.get(name, 4), info=name):
            get()


def test_every_page_is_kept_from_caches_logs_scripts_and_search_engines_and_sets_no_cookie(pages: Any) -> None:
    for name, get in pages:
        page = get()

        assert (page["Cache-Control"], page["Referrer-Policy"], page["X-Robots-Tag"]) == (
            "no-store", "no-referrer", "noindex",
        ), name  # fmt: skip
        assert not page.cookies, name
        if page.status_code != 303:
            policy = page["Content-Security-Policy"]
            [nonce] = re.findall(r'<style nonce="([^"]+)">', page.content.decode())
            assert policy.startswith(f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self';"), name
            assert "script" not in policy + page.content.decode(), name


def test_every_page_can_be_read_by_everybody(pages: Any) -> None:
    for name, get in pages:
        page = get()
        if page.status_code != 303:
            assert Outline(page.content.decode()).faults() == [], name


class Outline(HTMLParser):
    """What makes a page hard to read or to operate (WCAG 2.1 AA)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.within: list[tuple[str, tuple[str, ...]]] = []  # texts, and in which elements they stand
        self.wrong_nesting: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "input":
            self.within.append(("an input", tuple(self.open)))
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            self.wrong_nesting.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.within.append((data.strip(), tuple(self.open)))

    def faults(self) -> list[str]:
        """Return what is wrong, in words."""
        names = [tag for tag, _attributes in self.tags]
        ids = [attributes["id"] for _tag, attributes in self.tags if "id" in attributes]
        described = [
            attributes[name]
            for _tag, attributes in self.tags
            for name in ("aria-describedby", "aria-labelledby")
            if name in attributes
        ]
        texts_of = {tag: [text for text, path in self.within if tag in path] for tag in set(names)}
        checks = {
            "no language": bool(dict(self.tags).get("html", {}).get("lang")),
            "not one title": names.count("title") == 1 and bool(texts_of["title"]),
            "not one heading": names.count("h1") == 1 and bool(texts_of["h1"]),
            "not one main": names.count("main") == 1,
            "the title is not the heading": texts_of["title"][0].startswith(texts_of["h1"][0]),
            "an id twice": len(ids) == len(set(ids)),
            "described by nothing": set(described) <= set(ids),
            "a button without words": names.count("button") == sum("button" in path for _text, path in self.within),
            "an input without a label": all("label" in path for text, path in self.within if text == "an input"),
            "a group without a legend": names.count("fieldset") == names.count("legend"),
            "no viewport": any(attributes.get("name") == "viewport" for _tag, attributes in self.tags),
            "elements that overlap": not self.wrong_nesting and not self.open,
        }
        return [fault for fault, is_right in checks.items() if not is_right]
