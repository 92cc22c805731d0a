"""The second factor: nobody is in before the code, and who must have an app sets one up on the way."""

from __future__ import annotations

import re
from base64 import b32decode
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from mentors.models import User
from mentors.second_factor import BACKUP_CODES, enrol_device, find_device, reset_second_factor
from tests.conftest import NOW

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"
KEY = "3132333435363738393031323334353637383930"
LOGIN, CODE, DEVICE, HOME = "/admin/login/", "/admin/login/code/", "/admin/second-factor/device/", "/admin/"
ACCOUNT, CODES, REMOVE = "/admin/second-factor/", "/admin/second-factor/codes/", "/admin/second-factor/remove/"


@pytest.fixture
def clock() -> Any:
    """It is noon in Oslo, until `clock.shift(seconds)`."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Hash them in no time: here nobody tries to read them."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def berit(kari: User) -> User:
    """Kari, with a password."""
    kari.set_password(PASSWORD)
    kari.save()
    return kari


@pytest.fixture
def paper(clock: Any, berit: User) -> list[str]:
    """Codes on paper; the app was set up a minute ago."""
    _device, codes = enrol_device(berit, key=KEY, code=code_of(KEY))
    clock.shift(60)
    return codes


@pytest.fixture
def browser() -> Client:
    return Client(headers={"accept-language": "en"})


def code_of(key: str) -> str:
    return f"{totp(bytes.fromhex(key)):06}"  # type: ignore[no-untyped-call]


def key_on(page: str) -> str:
    """Return the key that the page shows to be typed in."""
    found = re.search(r'door-secret">([a-z2-7 ]+)<', page)
    assert found
    return b32decode(found[1].replace(" ", "").upper()).hex()


def wrong_code() -> str:
    return f"{(totp(bytes.fromhex(KEY)) + 1) % 1_000_000:06}"  # type: ignore[no-untyped-call]


def log_in(browser: Client, *, to: str = "") -> Any:
    return browser.post(LOGIN + (f"?next={to}" if to else ""), {"username": "kari", "password": PASSWORD})


def is_in(browser: Client) -> bool:
    return browser.get(HOME).status_code == 200 and browser.get("/api/v1/me").status_code == 200


class TestCode:
    def test_it_follows_the_password_and_leads_on(self, paper: list[str], browser: Client) -> None:
        after_password = log_in(browser, to="/admin/mentors/mentor/")
        after_code = browser.post(after_password["Location"], {"code": code_of(KEY)})

        assert after_password["Location"] == f"{CODE}?next=%2Fadmin%2Fmentors%2Fmentor%2F"
        assert after_code["Location"] == "/admin/mentors/mentor/"
        assert is_in(browser)

    def test_between_the_password_and_the_code_nobody_is_logged_in(self, paper: list[str], browser: Client) -> None:
        log_in(browser)

        answers = {url: browser.get(url).status_code for url in (HOME, ACCOUNT, "/admin/mentors/mentor/")}

        assert set(answers.values()) == {302}
        assert browser.get("/api/v1/me").status_code == 401
        assert browser.get("/api/v1/mentors").status_code == 401
        assert "_auth_user_id" not in browser.session

    def test_nobody_comes_to_it_without_the_password(self, paper: list[str], browser: Client) -> None:
        answer = browser.post(CODE, {"code": code_of(KEY)})

        assert answer["Location"].startswith(LOGIN)
        assert not is_in(browser)

    def test_the_password_is_forgotten_after_a_while(self, paper: list[str], browser: Client, clock: Any) -> None:
        log_in(browser)

        clock.shift(601)

        assert browser.post(CODE, {"code": code_of(KEY)})["Location"].startswith(LOGIN)

    def test_a_new_password_ends_what_was_half_way(self, paper: list[str], berit: User, browser: Client) -> None:
        log_in(browser)

        berit.set_password("another long one")
        berit.save()

        assert browser.post(CODE, {"code": code_of(KEY)})["Location"].startswith(LOGIN)

    def test_both_steps_give_the_session_a_new_key(self, paper: list[str], browser: Client) -> None:
        browser.session.save()
        keys = [browser.session.session_key]

        log_in(browser)
        keys.append(browser.session.session_key)
        browser.post(CODE, {"code": code_of(KEY)})
        keys.append(browser.session.session_key)

        assert len(set(keys)) == 3

    def test_it_leads_nowhere_else(self, paper: list[str], browser: Client) -> None:
        log_in(browser)

        answer = browser.post(f"{CODE}?next=https://evil.example/", {"code": code_of(KEY)})

        assert answer["Location"] == HOME

    def test_it_is_good_once(self, paper: list[str], browser: Client) -> None:
        code = code_of(KEY)
        log_in(browser)
        browser.post(CODE, {"code": code})
        other = Client(headers={"accept-language": "en"})
        log_in(other)

        answer = other.post(CODE, {"code": code})

        assert "The code is wrong, or has been used." in answer.content.decode()
        assert (is_in(browser), is_in(other)) == (True, False)

    def test_one_on_paper_is_good_once(self, paper: list[str], browser: Client) -> None:
        other = Client()
        written = f"{paper[0][:4]} {paper[0][4:].upper()}"
        log_in(browser)
        log_in(other)

        browser.post(CODE, {"code": written})
        other.post(CODE, {"code": written})

        assert (is_in(browser), is_in(other)) == (True, False)
        assert StaticToken.objects.count() == BACKUP_CODES - 1

    @pytest.mark.parametrize("code", ["", "abcdefgh", "1234567", "one two", "１２３４５６"])
    def test_nonsense_is_refused(self, paper: list[str], browser: Client, code: str) -> None:
        log_in(browser)

        assert browser.post(CODE, {"code": code}).status_code == 200
        assert not is_in(browser)

    def test_after_a_wrong_one_the_right_one_waits(self, paper: list[str], browser: Client, clock: Any) -> None:
        log_in(browser)
        browser.post(CODE, {"code": wrong_code()})

        at_once = browser.post(CODE, {"code": code_of(KEY)})
        clock.shift(30)
        later = browser.post(CODE, {"code": code_of(KEY)})

        assert "wait for" in at_once.content.decode()
        assert later["Location"] == HOME

    def test_guessing_codes_locks_as_guessing_passwords_does(
        self, paper: list[str], browser: Client, clock: Any
    ) -> None:
        log_in(browser)

        answers = []
        for _guess in range(5):
            answers.append(browser.post(CODE, {"code": wrong_code()}).status_code)
            clock.shift(60)
        right = browser.post(CODE, {"code": code_of(KEY)})

        assert answers == [200, 200, 200, 200, 429]
        assert (right.status_code, right["Retry-After"]) == (429, "900")
        assert log_in(browser).status_code == 429

    def test_a_login_by_the_password_alone_does_not_forgive_wrong_codes(
        self, paper: list[str], browser: Client, clock: Any
    ) -> None:
        answers = []
        for _guess in range(5):
            log_in(browser)
            answers.append(browser.post(CODE, {"code": wrong_code()}).status_code)
            clock.shift(60)

        assert answers[-1] == 429

    def test_the_code_of_somebody_else_is_wrong(self, paper: list[str], olav: User, browser: Client) -> None:
        key = KEY[::-1]
        TOTPDevice.objects.create(user=olav, name="app", key=key)
        log_in(browser)

        browser.post(CODE, {"code": code_of(key)})

        assert not is_in(browser)


class TestSession:
    """A session that was made before the second factor, or has lost it, opens nothing."""

    def test_an_app_set_up_elsewhere_asks_for_a_code_here(self, berit: User, browser: Client) -> None:
        browser.force_login(berit)
        assert is_in(browser)

        TOTPDevice.objects.create(user=berit, name="app", key=KEY)

        assert browser.get(HOME).status_code == 302
        assert browser.get("/api/v1/me").status_code == 401

    def test_where_one_is_required_a_session_without_is_none(self, berit: User, browser: Client, settings: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True
        browser.force_login(berit)

        assert browser.get(HOME).status_code == 302
        assert browser.get("/api/v1/me").status_code == 401
        assert browser.post("/api/v1/auth/logout-all").status_code == 401

    def test_a_reset_ends_the_session(self, paper: list[str], berit: User, browser: Client, settings: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True
        log_in(browser)
        browser.post(CODE, {"code": code_of(KEY)})
        assert is_in(browser)

        reset_second_factor(berit, actor=None)

        assert not is_in(browser)


class TestDevice:
    @pytest.fixture(autouse=True)
    def _required(self, settings: Any, clock: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True

    def test_who_needs_an_app_sets_it_up_on_the_way_in(self, berit: User, browser: Client) -> None:
        page = browser.get(log_in(browser, to="/admin/mentors/mentor/")["Location"])
        key = key_on(page.content.decode())

        done = browser.post(f"{DEVICE}?next=/admin/mentors/mentor/", {"code": code_of(key)})

        shown = re.findall(r"<li><code>([a-z2-7]{4}) ([a-z2-7]{4})</code></li>", done.content.decode())
        assert ["".join(code) for code in shown] == list(
            StaticToken.objects.order_by("pk").values_list("token", flat=True)
        )
        assert len(shown) == BACKUP_CODES
        assert 'href="/admin/mentors/mentor/"' in done.content.decode()
        assert "no-store" in done["Cache-Control"]
        assert is_in(browser)

    def test_its_picture_stands_in_the_page_and_stays_the_same_until_it_is_used(
        self, berit: User, browser: Client
    ) -> None:
        log_in(browser)

        first, again = (browser.get(DEVICE).content.decode() for _ in range(2))
        wrong = browser.post(DEVICE, {"code": "000000"}).content.decode()

        assert "<svg" in first
        assert len({key_on(page) for page in (first, again, wrong)}) == 1
        assert "The code is wrong" in wrong
        assert not TOTPDevice.objects.exists()

    def test_its_first_code_is_used_up(self, berit: User, browser: Client) -> None:
        log_in(browser)
        key = key_on(browser.get(DEVICE).content.decode())
        browser.post(DEVICE, {"code": code_of(key)})
        other = Client()
        log_in(other)

        other.post(CODE, {"code": code_of(key)})

        assert not is_in(other)

    def test_the_password_alone_replaces_no_app(self, paper: list[str], browser: Client) -> None:
        log_in(browser)

        assert browser.get(DEVICE)["Location"].startswith(LOGIN)
        assert browser.post(DEVICE, {"code": "000000"})["Location"].startswith(LOGIN)

    def test_a_stranger_sets_up_nothing(self, browser: Client) -> None:
        assert browser.get(DEVICE)["Location"].startswith(LOGIN)


class TestAccount:
    @pytest.fixture
    def inside(self, paper: list[str], browser: Client, clock: Any) -> Client:
        log_in(browser)
        browser.post(CODE, {"code": code_of(KEY)})
        clock.shift(60)
        return browser

    def test_it_says_what_there_is(self, inside: Client) -> None:
        page = inside.get(ACCOUNT).content.decode()

        assert "10 codes on paper are left." in page
        assert f'href="{ACCOUNT}"' in inside.get(HOME).content.decode()

    @pytest.mark.parametrize("proof", [PASSWORD, "code"])
    def test_new_codes_make_the_old_ones_void(self, inside: Client, paper: list[str], proof: str) -> None:
        answer = inside.post(CODES, {"proof": code_of(KEY) if proof == "code" else proof})

        assert answer.status_code == 200
        assert StaticToken.objects.count() == BACKUP_CODES
        assert not StaticToken.objects.filter(token__in=paper).exists()

    @pytest.mark.parametrize("url", [CODES, REMOVE, DEVICE])
    def test_nothing_changes_without_the_password_or_a_code(
        self, inside: Client, paper: list[str], berit: User, url: str
    ) -> None:
        answer = inside.post(url, {"proof": "wrong password", "code": code_of(KEY)})

        assert "This is neither your password nor a code from your app." in answer.content.decode()
        assert StaticToken.objects.filter(token__in=paper).count() == BACKUP_CODES
        device = find_device(berit)
        assert device
        assert device.key == KEY

    def test_another_app_takes_the_place_of_the_first_and_ends_other_sessions(
        self, inside: Client, berit: User
    ) -> None:
        other = Client()
        log_in(other)
        other.post(CODE, {"code": code_of(KEY)})
        assert is_in(other)
        key = key_on(inside.get(DEVICE).content.decode())

        inside.post(DEVICE, {"proof": PASSWORD, "code": code_of(key)})

        assert [device.key for device in TOTPDevice.objects.all()] == [key]
        assert (is_in(inside), is_in(other)) == (True, False)

    def test_it_can_be_removed_where_none_is_required(self, inside: Client, berit: User) -> None:
        inside.post(REMOVE, {"proof": PASSWORD})

        assert find_device(berit) is None
        assert is_in(inside)

    def test_it_cannot_be_removed_where_one_is_required(self, inside: Client, berit: User, settings: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True

        assert inside.post(REMOVE, {"proof": PASSWORD}).status_code == 403
        assert find_device(berit)

    def test_guessing_the_password_there_locks_too(self, inside: Client) -> None:
        answers = [inside.post(CODES, {"proof": f"guess {n}"}).status_code for n in range(5)]

        assert answers[-1] == 429

    def test_no_page_needs_many_queries(self, inside: Client, django_assert_max_num_queries: Any) -> None:
        for url in (ACCOUNT, CODES, REMOVE, DEVICE):
            with django_assert_max_num_queries(12):
                assert inside.get(url).status_code == 200


class TestReset:
    def url(self, user: User) -> str:
        return f"/admin/mentors/user/{user.pk}/reset_second_factor/"

    def test_operations_reset_it_and_that_is_kept(self, paper: list[str], berit: User, browser: Client) -> None:
        root = User.objects.create_superuser("root")
        browser.force_login(root)

        assert f'href="{self.url(berit)}"' in browser.get(f"/admin/mentors/user/{berit.pk}/change/").content.decode()
        browser.post(self.url(berit))

        assert find_device(berit) is None
        assert not StaticToken.objects.exists()
        entry = LogEntry.objects.get()
        assert (entry.user, entry.object_id) == (root, str(berit.pk))

    def test_a_coordinator_resets_nobodys(self, paper: list[str], berit: User, olav: User, browser: Client) -> None:
        browser.force_login(olav)

        assert browser.post(self.url(berit)).status_code == 403
        assert find_device(berit)

    def test_the_command_resets_it(self, paper: list[str], berit: User) -> None:
        said = StringIO()

        call_command("reset_second_factor", "kari", stdout=said)
        call_command("reset_second_factor", "kari", stdout=said)

        assert said.getvalue().splitlines() == ["The second factor is removed.", "There was no second factor."]
        assert find_device(berit) is None

    def test_the_command_knows_nobody_of_another_name(self, db: None) -> None:
        with pytest.raises(CommandError, match="There is no user “nils”"):
            call_command("reset_second_factor", "nils")
