"""The commands that bring the servers: `python -m config.embedded` and `manage.py`."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.embedded import VARIABLES, main
from tests.acceptance.embedded.conftest import (
    RUN,
    Run,
    first_line,
    let_go,
    one_line,
    processes_below,
)
from tests.support.processes import PROJECT


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)])
def test_run_passes_the_exit_code_on_and_stops_the_servers(command: str, code: int, run: Run, made: Path) -> None:
    process = run("--scratch", "--", "sh", "-c", command)

    assert let_go(process) == code
    assert (made / "postgres/server.log").exists()
    assert processes_below(made) == []


WAIT_FOR_SIGTERM = """
import signal
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print("ready", flush=True)
while (got := signal.sigwait(signals)) != signal.SIGTERM:
    print(got.name, flush=True)
raise SystemExit(42)
"""


def test_run_forwards_signals_and_waits_for_the_command(run: Run, made: Path) -> None:
    process = run("--scratch", "--", sys.executable, "-c", WAIT_FOR_SIGTERM)
    assert first_line(process) == "ready"

    process.send_signal(signal.SIGINT)
    assert first_line(process) == "SIGINT"
    process.send_signal(signal.SIGTERM)

    assert let_go(process) == 42


OWN_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.executable, sys.argv[1:])"
OUT_OF_ITS_REACH = "import os; os.setpgid(0, 0)\n"  # where only a forwarded SIGINT arrives


def test_ctrl_c_on_a_terminal_is_left_to_the_terminal_and_spares_the_servers(made: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*RUN, "--scratch", "--", sys.executable, "-c", OUT_OF_ITS_REACH + WAIT_FOR_SIGTERM]
    process = subprocess.Popen([sys.executable, "-c", OWN_TERMINAL, *command], cwd=PROJECT, stdin=theirs)
    os.close(theirs)
    with os.fdopen(ours, "r+b", buffering=0) as terminal, process:
        assert terminal.readline() == b"ready\r\n"

        terminal.write(b"\x03")

        assert terminal.read(2) == b"^C"  # echoed after the signal is sent
        assert processes_below(made) != []
        process.terminate()
        with pytest.raises(OSError, match="Input/output error"):  # its end, and no SIGINT before it
            terminal.readline()
    assert process.returncode == 42


def test_run_says_in_one_line_that_it_cannot_run_the_command(run: Run, made: Path) -> None:
    process = run("--scratch", "--", "no-such-command")

    _, errors = process.communicate()

    assert process.returncode == 1
    assert one_line(errors) == "config.embedded: Cannot run no-such-command: No such file or directory.\n"


@pytest.mark.parametrize("arguments", [[], ["run"], ["run", "--"], ["start", "--", "true"], ["dance"]])
def test_wrong_usage_exits_2(arguments: list[str], data: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)

    assert stopped.value.code == 2


def test_start_status_env_and_stop_say_what_is(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--name", "other"]) == 1
    assert "python -m config.embedded start" in one_line(capsys.readouterr().err)

    assert main(["start", "--name", "other", "--scratch"]) == 0
    assert "Postgres: runs on 127.0.0.1:" in capsys.readouterr().out
    assert main(["env", "--name", "other"]) == 0
    assert [line.split("=")[0] for line in capsys.readouterr().out.splitlines()] == [f"export {v}" for v in VARIABLES]
    assert main(["stop", "--name", "other"]) == 0
    assert main(["status", "--name", "other"]) == 0
    assert capsys.readouterr().out == "Postgres: stopped\nRedis: stopped\n"


def manage(data: Path, settings: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (data / "settings_of_this_test.py").write_text("import os\nSECRET_KEY = 'x'\n" + settings)
    environment = {"PYTHONPATH": str(data), "DJANGO_SETTINGS_MODULE": "settings_of_this_test"} | environment
    return subprocess.run(
        [sys.executable, PROJECT / "manage.py", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_manage_brings_servers_when_there_is_no_database_url(data: Path, made: Path) -> None:
    done = manage(data, "SEEN = [os.environ['DATABASE_URL'], os.environ['REDIS_URL']]", "diffsettings")

    assert done.returncode == 0, done.stderr
    assert "SEEN = ['postgres://nattevakt:" in done.stdout


def test_manage_changes_nothing_when_there_is_a_database_url(data: Path) -> None:
    done = manage(data, "SEEN = 'REDIS_URL' in os.environ", "diffsettings", DATABASE_URL="postgres://elsewhere")

    assert "SEEN = False" in done.stdout
    assert not (data / "up").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("import environs; environs.Env().int('NO_SUCH_VARIABLE')", 'Environment variable "NO_SUCH_VARIABLE" not set'),
        ("import django.core.exceptions as e; raise e.ImproperlyConfigured('two\\nlines')", "two lines"),
    ],
)
def test_manage_says_in_one_line_what_is_wrong_with_the_settings(settings: str, message: str, data: Path) -> None:
    done = manage(data, settings, "check", DATABASE_URL="postgres://elsewhere")

    assert (done.returncode, done.stderr) == (1, f"manage.py: {message}\n")


def test_manage_says_in_one_line_that_the_servers_cannot_start(data: Path) -> None:
    (data / "file").touch()

    done = manage(data, "", "check", NATTEVAKT_DATA=str(data / "file"))

    assert done.returncode == 1
    assert "Set NATTEVAKT_DATA" in one_line(done.stderr)
