"""Wrong settings are found before the service starts: each in one line that names what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from environs import EnvError
from ruamel.yaml import YAML

from notifications import claims
from tests.support.processes import PROJECT
from tests.support.settings import read_settings, variables_of_the_settings

# Apprise imports it as it loads its services, on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

PRODUCTION = {
    "SECRET_KEY": "k5Xw9-uPzq3LtRv7mB2nYc8HsJd4GfAe6TpVxWzQ1rE-oIuNbMkL0",
    "DATABASE_URL": "postgres://nattevakt:secret@database.example.org/nattevakt",
    "REDIS_URL": "redis://:secret@redis.example.org/0",
    "ALLOWED_HOSTS": "example.org",
    "EMAIL_URL": "submission://user:secret@mail.example.org:587",
    "OPERATIONS_EMAIL": "operations@example.org",
    "PUBLIC_URL": "https://nattevakt.example.org",
}

TWILIO = f"AC{'a' * 32}:{'b' * 32}"


def found(*, deploy: bool = False) -> set[str | None]:
    """Return the ids of what the project's own checks report."""
    messages = checks.run_checks(include_deployment_checks=deploy, databases=[])
    return {message.id for message in messages if message.id and message.id.startswith("nattevakt.")}


def installation(**changes: str | None) -> dict[str, str]:
    """Return the variables of an installation with these changes; None takes one away."""
    return {name: value for name, value in (PRODUCTION | changes).items() if value is not None}


def check(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Run `manage.py check` with the variables of an installation and these changes."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "NATTEVAKT_DATA")}
    return subprocess.run(
        [sys.executable, "manage.py", "check", *arguments],
        cwd=PROJECT,
        env=kept | installation(**changes),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_settings_of_the_tests_contradict_nothing() -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"VISIBILITY_TIMEOUT_SECONDS": 900}, "nattevakt.E001"),
        ({"CELERY_TASK_SOFT_TIME_LIMIT": 900}, "nattevakt.E002"),
        ({"CELERY_TASK_TIME_LIMIT": 901}, "nattevakt.E003"),
        ({"NIGHTLY_RETRY_SECONDS": 1800}, "nattevakt.E004"),
        ({"NIGHTLY_MAX_ATTEMPTS": 12}, "nattevakt.E004"),
        ({"NOTIFICATION_SERVICE": "notifications.service.Pigeon"}, "nattevakt.E005"),
        ({"NOTIFICATION_SERVICE": "no dots"}, "nattevakt.E005"),
        ({"REDIS_URL": "amqp://broker.example.org"}, "nattevakt.E006"),
        ({"REDIS_URL": "redis.example.org:6379"}, "nattevakt.E006"),
        ({"REDIS_URL": "unix:///run/redis.sock"}, "nattevakt.E006"),  # redis-py's spelling, unknown to Celery
        ({"SMS_URL": f"twilio://{TWILIO}@15551234567/+4790000000"}, "nattevakt.E007"),  # all would go to one
        ({"CHAT_URL": "json://{to}/messages"}, "nattevakt.E007"),  # the recipient would choose the host
        ({"CHAT_URL": "json://host-{to}.example.org/messages"}, "nattevakt.E007"),
        ({"CHAT_URL": "json:///{to}"}, "nattevakt.E007"),
        ({"CHAT_URL": "{to}"}, "nattevakt.E007"),
        ({"SMS_URL": "pigeon://secret@loft.example.org/{to}"}, "nattevakt.E008"),
        ({"SMS_URL": "twilio://secret@15551234567/{to}"}, "nattevakt.E008"),
        ({"SMS_URL": f"twilio://{TWILIO}@15551234567/{{to}}?method=call"}, "nattevakt.E009"),
        ({"SMS_URL": f"twilio://{TWILIO}@15551234567/{{to}}?method=CALL"}, "nattevakt.E009"),
        ({"SMS_URL": "pingram://pingram_sk_secret/reminder/{to}?channels=sms,call"}, "nattevakt.E009"),
    ],
)
def test_a_contradiction_is_an_error(changes: dict[str, Any], id: str) -> None:
    with override_settings(**changes):
        assert found() == {id}


@pytest.mark.parametrize(
    "changes",
    [
        {"VISIBILITY_TIMEOUT_SECONDS": 901},
        {"NIGHTLY_RETRY_SECONDS": 1799},
        {"NIGHTLY_RETRY_SECONDS": 100_000, "NIGHTLY_MAX_ATTEMPTS": 1},  # nothing is ever retried
        {"REDIS_URL": "rediss://:secret@redis.example.org/0"},
        {"REDIS_URL": "redis+socket:///run/redis.sock"},
        {"SMS_URL": f"twilio://{TWILIO}@15551234567/{{to}}"},
        {"SMS_URL": "json://user:secret@gateway.example.org/call-centre/{to}"},
        {"SMS_URL": "pingram://pingram_sk_secret/reminder/{to}?channels=sms"},
        {"SMS_URL": "clickatell://secret/{to}"},
        {"CHAT_URL": "tgram://123456789:abcdefg_hijklmnop/{to}"},
        {"CHAT_URL": "signal://gateway.example.org:8080/+4790000001/{to}"},
        {"CHAT_URL": "matrixs://user:secret@matrix.example.org/{to}"},
    ],
)
def test_what_only_comes_close_is_none(changes: dict[str, Any]) -> None:
    with override_settings(**changes):
        assert found() == set()


def test_a_lease_shorter_than_a_task_may_take_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.checks.LEASE", timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT - 1))

    assert timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT) <= claims.LEASE
    assert found() == {"nattevakt.E003"}


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"OPERATIONS_EMAIL": "", "ALERT_URLS": ["json://alarm.example.org/"]}, "nattevakt.W001"),
        ({"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, "nattevakt.W002"),
        ({"PUBLIC_URL": ""}, "nattevakt.W003"),
        ({"PUBLIC_URL": "http://nattevakt.example.org"}, "nattevakt.W003"),
        ({"SECOND_FACTOR_REQUIRED": False}, "nattevakt.W005"),
    ],
)
def test_telling_nobody_is_a_warning_in_production_only(changes: dict[str, Any], id: str) -> None:
    production = {
        "OPERATIONS_EMAIL": "operations@example.org",
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "PUBLIC_URL": "https://nattevakt.example.org",
        "SECOND_FACTOR_REQUIRED": True,
    }
    with override_settings(**production | changes):
        assert found(deploy=True) == {id}
        assert found() == set()


def test_an_alarm_without_any_route_is_a_warning() -> None:
    with override_settings(OPERATIONS_EMAIL="", ALERT_URLS=[]):
        assert {"nattevakt.W001", "nattevakt.W004"} <= found(deploy=True)
        assert found() == set()


def test_every_message_of_a_check_says_what_to_do() -> None:
    wrong: dict[str, Any] = {
        "VISIBILITY_TIMEOUT_SECONDS": 1,
        "CELERY_TASK_TIME_LIMIT": 1000,
        "CELERY_TASK_SOFT_TIME_LIMIT": 1000,
        "NOTIFICATION_SERVICE": "",
        "REDIS_URL": "redis.example.org/password",
        "OPERATIONS_EMAIL": "",
        "SMS_URL": f"twilio://{TWILIO}@15551234567/{{to}}?method=call",
        "CHAT_URL": "pigeon://password@loft.example.org/{to}",
        "ALERT_URLS": ["pigeon://password@loft.example.org/"],
        "PUBLIC_URL": "",
        "SECOND_FACTOR_REQUIRED": False,
    }
    with override_settings(**wrong):
        messages = [
            message
            for message in checks.run_checks(include_deployment_checks=True, databases=[])
            if (message.id or "").startswith("nattevakt.")
        ]

    assert len(messages) == 13
    assert all(message.hint for message in messages)
    said = " ".join(f"{message.msg} {message.hint}" for message in messages)
    assert not re.search(rf"redis.example.org/password|password@loft|{TWILIO}", said)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_KEY", None),
        ("REDIS_URL", None),
        ("DATABASE_URL", "garbage"),
        ("DATABASE_URL", "mysql://user:secret@host/name"),
        ("DATABASE_URL", ""),
        ("NIGHTLY_MAX_SUBTASKS", "zero"),
        ("NIGHTLY_MAX_SUBTASKS", "0"),
        ("NIGHTLY_STUCK_SECONDS", ""),
        ("DEBUG", "perhaps"),
        ("EMAIL_URL", "foo"),
        ("EMAIL_URL", "gopher://mail.example.org"),
        ("LOG_LEVEL", "LOUD"),
        ("PUBLIC_URL", "nattevakt.example.org"),
        ("PUBLIC_URL", "https://nattevakt.example.org/secret/"),
        ("DELIVERY_RATES", "20/second"),
        ("DELIVERY_RATES", "*=0/second"),
        ("LINK_DAYS", "0"),
        ("WEBHOOK_PRIVATE_HOSTS", "perhaps"),
        ("HEARTBEAT_URL", "ftp://heartbeat.example.org/secret"),
    ],
)
def test_a_missing_or_broken_variable_is_named(variable: str, value: str | None) -> None:
    with pytest.raises((EnvError, ImproperlyConfigured)) as refused:
        read_settings(installation(**{variable: value}))

    assert variable in str(refused.value)
    assert "secret" not in str(refused.value)


def test_an_installation_is_read() -> None:
    found = read_settings(installation())

    assert (found["EMAIL_HOST"], found["DATABASES"]["default"]["NAME"]) == ("mail.example.org", "nattevakt")


@pytest.mark.processes
def test_a_command_ends_with_one_line_that_names_the_variable() -> None:
    done = check(DATABASE_URL="mysql://user:secret@host/name")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "DATABASE_URL" in done.stderr
    assert done.stdout == ""
    assert "secret" not in done.stderr


@pytest.mark.processes
def test_a_production_has_nothing_to_report() -> None:
    done = check("--deploy", "--fail-level", "WARNING")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.processes
def test_a_production_that_is_wrong_or_tells_nobody_has() -> None:
    wrong: dict[str, str | None] = {"REDIS_URL": "unix:///run/redis.sock"}
    silent: dict[str, str | None] = {"OPERATIONS_EMAIL": None, "EMAIL_URL": "console:"}

    done = check("--deploy", "--fail-level", "WARNING", **wrong, **silent)

    assert done.returncode == 1
    for id in ("nattevakt.E006", "nattevakt.W001", "nattevakt.W002"):
        assert id in done.stderr


def test_every_variable_reaches_the_containers() -> None:
    compose = YAML(typ="safe").load(PROJECT / "docker-compose.yml")
    of_the_image = {"CODE_VERSION"}
    never_there = {"DEBUG"}

    given = set(compose["services"]["web"]["environment"]) | of_the_image

    assert given == variables_of_the_settings() - never_there
