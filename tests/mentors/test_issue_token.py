"""The command issue_token."""

from __future__ import annotations

import pytest
from django.core.management import CommandError
from knox.auth import TokenAuthentication

from mentors.models import User
from tests.support.commands import run, run_for_json


def test_a_token_is_printed_that_lets_the_user_in(kari: User) -> None:
    token, expiry = run("issue_token", "kari").splitlines()
    document = run_for_json("issue_token", "kari")

    assert expiry.startswith("It expires at 20")
    assert set(document) == {"token", "expiry"}
    for issued in (token, document["token"]):
        user, _auth = TokenAuthentication().authenticate_credentials(issued.encode())
        assert user == kari


def test_no_token_for_nobody_or_somebody_inactive(kari: User) -> None:
    User.objects.update(is_active=False)

    with pytest.raises(CommandError, match="There is no user “nils”"):
        run("issue_token", "nils")
    with pytest.raises(CommandError, match="not active"):
        run("issue_token", "kari")
