"""The command at the end of a mail server's pipe."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from mentors.models import User
from notifications.models import Notification
from tests.support.bounces import FORGED_ID, marked, sample, told
from tests.support.processes import PROJECT, live_environment


class TestCommand:
    @pytest.fixture
    def pipe(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
        """Hand a message to the command on standard input, and return what it prints."""

        def run(raw: bytes) -> str:
            out = io.StringIO()
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
            call_command("record_bounce", stdout=out)
            return out.getvalue()

        return run

    @pytest.mark.django_db
    @pytest.mark.parametrize("name", ["postfix_unknown", "exchange_not_found", "gmail_forwarded"])
    def test_a_bounce_is_recorded(
        self, sent: Notification, kari: User, pipe: Callable[[bytes], str], name: str
    ) -> None:
        shown = pipe(sample(name, sent.message_id))

        sent.refresh_from_db()
        assert shown == "Recorded.\n"
        assert sent.status == "failed"
        assert sent.error.in_english().startswith("came back: 550")
        assert "@" not in sent.error.in_english()
        assert marked() == [("email", "liv@example.org")]
        assert told() == [("kari", "M0")]

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("raw", "line"),
        [
            (b"Subject: Hei\n\nHei", "Not recorded: this is no delivery status notification (RFC 3464)."),
            (sample("postfix_unknown", FORGED_ID.format(pk=1)), "Not recorded: it is about no message"),
        ],
        ids=["mail", "forged"],
    )
    def test_anything_else_ends_with_one_line(self, pipe: Callable[[bytes], str], raw: bytes, line: str) -> None:
        with pytest.raises(CommandError) as error:
            pipe(raw)

        assert error.value.returncode == 1
        assert str(error.value).startswith(line)
        assert "\n" not in str(error.value)

    @pytest.mark.processes
    @pytest.mark.django_db(transaction=True)
    def test_a_mail_servers_pipe_gets_an_exit_code_and_a_line(self, sent: Notification, kari: User) -> None:
        bounce = sample("postfix_unknown", sent.message_id)
        no_database = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"}

        taken, put_off = run_pipe(bounce), run_pipe(bounce, **no_database)

        assert (taken.returncode, taken.stdout) == (0, b"Recorded.\n")
        assert (put_off.returncode, put_off.stderr.count(b"\n")) == (os.EX_TEMPFAIL, 1)
        assert not any(b"liv@" in process.stdout + process.stderr for process in (taken, put_off))
        assert marked() == [("email", "liv@example.org")]
        assert told() == [("kari", "M0")]


def run_pipe(raw: bytes, **changes: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "manage.py", "record_bounce"]
    environment = live_environment(LOG_LEVEL="ERROR", **changes)
    return subprocess.run(command, cwd=PROJECT, env=environment, input=raw, capture_output=True, check=False)
