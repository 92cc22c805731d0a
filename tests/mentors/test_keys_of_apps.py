"""An app's key stands in the database encrypted: whoever reads it, or a backup of it, can make no code."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session as DjangoSession
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from mentors.accounts.second_factor import CodeWrong, check_code, encrypt_anew, enrol_device
from mentors.encryption import Undecryptable, decrypt, encrypt
from mentors.models import AuthenticatorApp, Session, User
from tests.conftest import NOW
from tests.support.second_factor import DEVICE, KEY, LOGIN, PASSWORD, code_of, give_app, key_on

pytestmark = pytest.mark.django_db
OLD, NEW = "the secret of before", "the secret of today"


@pytest.fixture
def clock(clock: Any) -> Any:
    clock.move_to(NOW, tick=False)
    return clock


def kept() -> str:
    key: str = TOTPDevice.objects.get().key
    return key


class TestEncryption:
    def test_what_is_encrypted_is_read_again(self) -> None:
        assert decrypt(encrypt(b"key", bound_to="a"), bound_to="a") == b"key"

    def test_twice_is_never_the_same(self) -> None:
        assert encrypt(b"key", bound_to="a") != encrypt(b"key", bound_to="a")

    @pytest.mark.parametrize(
        "change",
        [lambda text: text[:-4] + "AAA=", lambda text: text[:20], lambda text: text[:0], lambda text: f"– {text}",
         lambda text: "A" + text[1:] if text[0] != "A" else "B" + text[1:]],
    )  # fmt: skip
    def test_what_was_changed_is_not_read(self, change: Callable[[str], str]) -> None:
        with pytest.raises(Undecryptable):
            decrypt(change(encrypt(b"key", bound_to="a")), bound_to="a")

    def test_nor_what_belongs_to_another(self) -> None:
        with pytest.raises(Undecryptable):
            decrypt(encrypt(b"key", bound_to="app:1"), bound_to="app:2")

    def test_nor_by_another_secret(self, settings: Any) -> None:
        text = encrypt(b"key", bound_to="a")
        settings.SECRET_KEY = NEW

        with pytest.raises(Undecryptable):
            decrypt(text, bound_to="a")


class TestKey:
    def test_what_is_kept_is_no_key(self, kari: User, clock: Any) -> None:
        enrol_device(kari, key=KEY, code=code_of(KEY))

        assert KEY not in kept()
        assert bytes.fromhex(KEY) not in kept().encode()

    def test_what_is_being_set_up_is_not_kept_readable_either(self, kari: User, clock: Any, settings: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True
        kari.set_password(PASSWORD)
        kari.save()
        browser = Client()
        browser.post(LOGIN, {"username": "kari", "password": PASSWORD})
        key = key_on(browser.get(DEVICE).content.decode())

        assert not DjangoSession.objects.exists()
        assert key not in str([session.get_decoded() for session in Session.objects.all()])
        assert key_on(browser.get(DEVICE).content.decode()) == key

    def test_a_second_press_sets_up_nothing_and_the_codes_that_were_shown_stay_good(
        self, kari: User, clock: Any
    ) -> None:
        _app, codes = enrol_device(kari, key=KEY, code=code_of(KEY))

        with pytest.raises(CodeWrong):
            enrol_device(kari, key=KEY, code=code_of(KEY))

        assert AuthenticatorApp.objects.count() == 1
        assert check_code(kari, codes[0], now=NOW)

    def test_its_codes_let_in(self, kari: User, clock: Any) -> None:
        give_app(kari)

        assert check_code(kari, code_of(KEY), now=NOW)

    def test_a_row_that_was_copied_to_another_account_lets_nobody_in(self, kari: User, olav: User, clock: Any) -> None:
        give_app(kari)
        AuthenticatorApp.objects.create(user=olav, name="app", key=kept())

        with pytest.raises(CodeWrong):
            check_code(olav, code_of(KEY), now=NOW)


class TestRotation:
    @pytest.fixture(autouse=True)
    def of_before(self, kari: User, settings: Any, clock: Any) -> None:
        settings.SECRET_KEY = OLD
        give_app(kari)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]

    def test_a_key_of_before_is_good(self, kari: User) -> None:
        assert check_code(kari, code_of(KEY), now=NOW)

    def test_it_is_encrypted_anew_at_night_and_needs_the_old_secret_no_more(self, kari: User, settings: Any) -> None:
        assert encrypt_anew() == (1, 0)
        again = kept()
        assert encrypt_anew() == (0, 0)
        settings.SECRET_KEY_FALLBACKS = []

        assert kept() == again
        assert check_code(kari, code_of(KEY), now=NOW)

    def test_without_that_it_lets_nobody_in_and_others_are_encrypted_anew_all_the_same(
        self, kari: User, olav: User, settings: Any
    ) -> None:
        settings.SECRET_KEY_FALLBACKS = ["another"]
        give_app(olav)
        said = io.StringIO()
        call_command("renew_encryption", stdout=said)

        assert said.getvalue() == "Encrypted anew: 0. Unreadable, because their secret is gone: 1.\n"
        with pytest.raises(CodeWrong):
            check_code(kari, code_of(KEY), now=NOW)
        assert check_code(olav, code_of(KEY), now=NOW)


def test_the_keys_of_before_are_encrypted_by_the_migration_and_back(kari: User, clock: Any) -> None:
    TOTPDevice.objects.create(user=kari, name="app", key=KEY)
    migration = import_module("mentors.migrations.0011_keys_of_apps")

    migration.encrypt_keys(apps, connection.schema_editor())
    assert KEY not in kept()
    assert check_code(kari, code_of(KEY), now=NOW)
    migration.decrypt_keys(apps, connection.schema_editor())

    assert kept() == KEY
