"""The secret is changed while people work: nobody is thrown out, no link breaks, and the old one ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from mentors.accounts.invitations import InvitationTokens
from mentors.accounts.passwords import PasswordLinks
from mentors.accounts.second_factor import enrol_device
from mentors.models import Invitation, Session, User
from notifications.models import Webhook
from notifications.signing import LinkInvalid, read_id, sign_id, webhook_secret, webhook_secrets
from tests.conftest import NOW
from tests.support.receiver import Receiver, http_receiver
from tests.support.second_factor import HOME, KEY, LOGIN, PASSWORD, code_of
from tests.support.webhooks import envelope, send

pytestmark = pytest.mark.django_db

OLD, NEW = "the-secret-of-yesterday" * 3, "the-secret-of-today" * 3

# What was given away before the change; it is asked afterwards whether it is still good.
Check = Callable[[], bool]


@pytest.fixture
def berit(kari: User) -> User:
    kari.set_password(PASSWORD)
    kari.save()
    return kari


@pytest.fixture
def app(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_PRIVATE_HOSTS = True
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def old_secret(settings: Any) -> None:
    settings.SECRET_KEY = OLD


def a_session(ask: pytest.FixtureRequest) -> Check:
    browser = Client()
    ask.getfixturevalue("berit")
    browser.post(LOGIN, {"username": "kari", "password": PASSWORD})
    return lambda: browser.get(HOME).status_code == 200


def a_login_that_waits_for_its_code(ask: pytest.FixtureRequest) -> Check:
    clock = ask.getfixturevalue("clock")
    clock.move_to(NOW, tick=False)
    browser = Client()
    enrol_device(ask.getfixturevalue("berit"), key=KEY, code=code_of(KEY))
    browser.post(LOGIN, {"username": "kari", "password": PASSWORD})
    clock.shift(60)

    def comes_in() -> bool:
        browser.post("/admin/login/code/", {"code": code_of(KEY)})
        return browser.get(HOME).status_code == 200

    return comes_in


def a_link_in_a_message(ask: pytest.FixtureRequest) -> Check:
    token = sign_id(5, purpose="answer")

    def is_read() -> bool:
        try:
            return read_id(token, purpose="answer") == 5
        except LinkInvalid:
            return False

    return is_read


def a_link_to_a_new_password(ask: pytest.FixtureRequest) -> Check:
    user = ask.getfixturevalue("berit")
    token = PasswordLinks().make_token(user)
    return lambda: PasswordLinks().check_token(user, token)


def an_invitation(ask: pytest.FixtureRequest) -> Check:
    invitation = Invitation.objects.create(
        user=ask.getfixturevalue("kari"), organisation=ask.getfixturevalue("hlf"), duty="coordinator", sent_at=NOW
    )
    token = InvitationTokens(invitation).make_token(invitation.user)
    return lambda: InvitationTokens(invitation).check_token(invitation.user, token)


def an_apps_secret(ask: pytest.FixtureRequest) -> Check:
    """The app has the secret of before, and gets messages."""
    hook = Webhook(organisation=ask.getfixturevalue("hlf"), url="https://app.example.org", secret_version=1)
    app, secret = ask.getfixturevalue("app"), webhook_secret(hook)

    def is_believed() -> bool:
        send(envelope(f"{app.url}/hook", secrets=tuple(webhook_secrets(hook))))
        request = app.received[-1]
        Verifier(webhook_secret(hook)).verify(request.body, request.headers)  # whoever has the new one
        try:
            Verifier(secret).verify(request.body, request.headers)
        except WebhookVerificationError:
            return False
        return True

    return is_believed


GIVEN = [
    a_session,
    a_login_that_waits_for_its_code,
    a_link_in_a_message,
    a_link_to_a_new_password,
    an_invitation,
    an_apps_secret,
]


@pytest.mark.usefixtures("old_secret")
@pytest.mark.parametrize("give", GIVEN)
def test_what_was_given_before_is_good_until_the_old_secret_is_taken_away(
    request: pytest.FixtureRequest, settings: Any, give: Callable[[pytest.FixtureRequest], Check]
) -> None:
    is_good = give(request)

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]

    assert is_good()


@pytest.mark.usefixtures("old_secret")
@pytest.mark.parametrize("give", GIVEN)
def test_without_the_old_secret_it_is_worth_nothing(
    request: pytest.FixtureRequest, settings: Any, give: Callable[[pytest.FixtureRequest], Check]
) -> None:
    is_good = give(request)

    settings.SECRET_KEY = NEW

    assert not is_good()


@pytest.mark.usefixtures("old_secret")
@pytest.mark.parametrize("give", [each for each in GIVEN if each is not an_apps_secret])
def test_what_is_given_meanwhile_is_good_when_the_old_secret_is_taken_away(
    request: pytest.FixtureRequest, settings: Any, give: Callable[[pytest.FixtureRequest], Check]
) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    is_good = give(request)

    settings.SECRET_KEY_FALLBACKS = []

    assert is_good()


def test_two_requests_at_once_after_the_change_are_both_in(
    berit: User, old_secret: None, settings: Any, clock: Any
) -> None:
    """A page asks for more than one thing, all with the cookie that the browser had when it began."""
    browser = Client()
    browser.post(LOGIN, {"username": "kari", "password": PASSWORD})
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", [OLD]

    for _request in range(2):
        one = Client()
        one.cookies[settings.SESSION_COOKIE_NAME] = cookie
        assert one.get(HOME).status_code == 200


def test_another_browser_is_logged_out_from_a_page_of_before(
    berit: User, old_secret: None, settings: Any, clock: Any
) -> None:
    browser, elsewhere = Client(), Client()
    for one in (browser, elsewhere):
        one.post(LOGIN, {"username": "kari", "password": PASSWORD})
    reference = Session.objects.get(pk=elsewhere.session.session_key).reference
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new one", [OLD]

    browser.post("/admin/access/end/", {"session": reference})

    assert (browser.get(HOME).status_code, elsewhere.get(HOME).status_code) == (200, 302)
