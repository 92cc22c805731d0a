"""docs/api.md has every code that an error of the API may have, with its status, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from rest_framework.exceptions import APIException

from mentors.accounts.access import AccessEnded, NoRole
from mentors.accounts.second_factor import CodeWrong
from mentors.conflicts import ConflictError
from mentors.rest.serializers import StrictSerializer
from tests.support.processes import PROJECT

APPS = ("certifications", "cronjobs", "mentors", "notifications")
ROW = re.compile(r"^\| (\d{3}) \| `(\w+)` \|", re.MULTILINE)

# Conflicts of pages of the desk, for which the API has no endpoint; and of the login, where the API answers 401 or 429.
NOT_OF_THE_API = {
    "account_unclear", "already_undone", "not_as_seen", "mentors_elsewhere", "no_public_url",
    "nothing_to_extend", "proof_wrong", "several_organisations", "too_many", "upload_gone",
    "access_ended", "login_locked", "no_role", "second_factor_too_soon", "second_factor_wrong",
}  # fmt: skip
# What REST framework has a message for, and JSON cannot cause: a text where a date object is wanted, and its like.
NEVER_CAUSED = {"datetime", "invalid_unicode", "max_string_length", "min_length"}
# The answer is JSON whatever `Accept` says; and each conflict has a code of its own.
NEVER_ANSWERED = {"not_acceptable", "conflict"}


def subclasses(parent: type[Any]) -> Iterator[type[Any]]:
    for child in parent.__subclasses__():
        if not child.__module__.startswith("tests."):
            yield child
            yield from subclasses(child)


@pytest.fixture(scope="module", autouse=True)
def every_module() -> None:
    """Import what may define an error."""
    for app in APPS:
        for module in walk_packages(import_module(app).__path__, f"{app}."):
            if ".migrations" not in module.name:
                import_module(module.name)


def conflicts() -> set[str]:
    return {conflict.code for conflict in subclasses(ConflictError)}


def codes_of_fields() -> set[str]:
    """Return the codes of REST framework by which the fields of a request are refused."""
    fields = [field for body in subclasses(StrictSerializer) for field in body._declared_fields.values()]
    writable = [field for field in fields if not field.read_only]
    codes = {code for field in writable for code in field.error_messages}
    codes |= {validator.code for field in writable for validator in field.validators if hasattr(validator, "code")}
    return codes - NEVER_CAUSED


def codes_in_the_text() -> set[tuple[int, str]]:
    """Return the codes that the API's own modules write themselves."""
    found = set()
    for path in [*PROJECT.glob("*/api/*.py"), *PROJECT.glob("mentors/rest/*.py"), PROJECT / "notifications" / "api.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="AuthenticationFailed"), args=[_, ast.Constant(value=str(code))]):
                    found.add((401, code))
                case ast.Call(keywords=keywords):
                    codes = [keyword.value for keyword in keywords if keyword.arg == "code"]
                    found |= {(400, str(code.value)) for code in codes if isinstance(code, ast.Constant)}
    return found


def test_every_code_is_documented_with_its_status_and_no_other() -> None:
    documented = ROW.findall((PROJECT / "docs" / "api.md").read_text(encoding="utf-8"))

    expected = {(409, code) for code in conflicts() - NOT_OF_THE_API} | {(500, "error")}
    expected |= {(401, refusal.code) for refusal in (AccessEnded, CodeWrong, NoRole)}
    expected |= {(400, code) for code in codes_of_fields()} | codes_in_the_text()
    expected |= {
        (error.status_code, error.default_code)
        for error in subclasses(APIException)
        if error.default_code not in NEVER_ANSWERED
    }

    assert sorted((int(status), code) for status, code in documented) == sorted(expected)


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    assert conflicts() >= NOT_OF_THE_API
