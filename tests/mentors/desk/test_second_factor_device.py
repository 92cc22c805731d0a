"""The app of the second factor: set up, replaced, removed and reset."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django_otp.plugins.otp_static.models import StaticToken

from mentors.accounts.second_factor import BACKUP_CODES, CodeWrong, check_code, find_device
from mentors.models import AuthenticatorApp, User
from tests.conftest import NOW
from tests.support.second_factor import (
    ACCOUNT,
    CODE,
    CODES,
    DEVICE,
    HOME,
    KEY,
    LOGIN,
    PASSWORD,
    REMOVE,
    code_of,
    is_in,
    key_on,
    log_in,
)

pytestmark = pytest.mark.django_db


class TestDevice:
    @pytest.fixture(autouse=True)
    def _required(self, settings: Any, clock: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True

    def test_who_needs_an_app_sets_it_up_on_the_way_in(self, berit: User, browser: Client) -> None:
        page = browser.get(log_in(browser, to="/admin/mentors/mentor/")["Location"])
        key = key_on(page.content.decode())

        done = browser.post(f"{DEVICE}?next=/admin/mentors/mentor/", {"code": code_of(key)})

        shown = re.findall(r"<li><code>((?:[a-z2-7]{4} ){5}[a-z2-7]{3})</code></li>", done.content.decode())
        assert len(set(shown)) == BACKUP_CODES
        assert check_code(berit, shown[-1], now=NOW)
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
        assert not AuthenticatorApp.objects.exists()

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
    def test_new_codes_make_the_old_ones_void(self, inside: Client, paper: list[str], berit: User, proof: str) -> None:
        answer = inside.post(CODES, {"proof": code_of(KEY) if proof == "code" else proof})

        assert answer.status_code == 200
        assert StaticToken.objects.count() == BACKUP_CODES
        with pytest.raises(CodeWrong):
            check_code(berit, paper[0], now=NOW)

    @pytest.mark.parametrize("url", [CODES, REMOVE, DEVICE])
    def test_nothing_changes_without_the_password_or_a_code(
        self, inside: Client, paper: list[str], berit: User, url: str
    ) -> None:
        answer = inside.post(url, {"proof": "wrong password", "code": code_of(KEY)})

        assert "This is neither your password nor a code from your app." in answer.content.decode()
        assert check_code(berit, paper[0], now=NOW)
        device = find_device(berit)
        assert device
        assert device.bin_key.hex() == KEY

    def test_another_app_takes_the_place_of_the_first_and_ends_other_sessions(
        self, inside: Client, berit: User
    ) -> None:
        other = Client()
        log_in(other)
        other.post(CODE, {"code": code_of(KEY)})
        assert is_in(other)
        key = key_on(inside.get(DEVICE).content.decode())

        inside.post(DEVICE, {"proof": PASSWORD, "code": code_of(key)})

        assert [device.bin_key.hex() for device in AuthenticatorApp.objects.all()] == [key]
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
            inside.get(url)  # which fills what a process remembers
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
