"""Codes on paper are kept as hashes: whoever reads the database, or a backup of it, comes in with none."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import connection
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from mentors.accounts.second_factor import BACKUP_CODES, CodeWrong, check_code, make_backup_codes
from mentors.models import User
from tests.conftest import NOW

pytestmark = pytest.mark.django_db


def kept() -> list[str]:
    return list(StaticToken.objects.values_list("token", flat=True))


def test_what_is_kept_is_no_code(kari: User) -> None:
    codes = make_backup_codes(kari)

    assert not set(kept()) & set(codes)
    with pytest.raises(CodeWrong):
        check_code(kari, kept()[0], now=NOW)


def test_nobody_guesses_one_from_its_hash(kari: User) -> None:
    codes = make_backup_codes(kari)

    assert len(set(codes)) == BACKUP_CODES
    assert all(len(code) * 5 >= 112 for code in codes)  # 5 bits in each letter of base 32


def test_each_is_good_once_in_whatever_way_it_is_typed(kari: User) -> None:
    code = make_backup_codes(kari)[0]
    typed = f" {code[:4].upper()}-{code[4:]} "

    assert check_code(kari, typed, now=NOW)
    with pytest.raises(CodeWrong):
        check_code(kari, typed, now=NOW)
    assert len(kept()) == BACKUP_CODES - 1


def test_those_that_were_given_out_before_stay_good(kari: User) -> None:
    device = StaticDevice.objects.create(user=kari, name="paper")
    StaticToken.objects.create(device=device, token="k3ab7xyz")

    with connection.cursor() as cursor:
        cursor.execute(import_module("mentors.migrations.0008_hash_codes_on_paper").HASH)

    assert kept() != ["k3ab7xyz"]
    assert check_code(kari, "k3ab 7xyz", now=NOW)
