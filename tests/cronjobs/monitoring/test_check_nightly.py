"""`check_nightly` and `test_alert`: what cron, Nagios and a person are told."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, ManagementUtility, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from cronjobs import heartbeats
from cronjobs.models import Alert, Component, CronJob, Incident, Run
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation, User
from tests.conftest import Desk
from tests.support.mail import mail_server
from tests.support.processes import PATIENCE, free_port, live_environment, running
from tests.support.receiver import Receiver

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # by Apprise
]

HOUR = timedelta(hours=1)


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    """A job whose last slot was two hours ago."""
    slot = timezone.now() - 2 * HOUR
    expression = f"{slot.minute} {slot.hour} * * *"
    return create_cron_job(
        organisation=hlf, name="nightly", cron_expression=expression, timezone="UTC", now=slot - HOUR
    )


def run_of(job: CronJob, **fields: Any) -> Run:
    slot = (timezone.now() - 2 * HOUR).replace(second=0, microsecond=0)
    values = {"status": Run.Status.SUCCEEDED, "finished_at": slot, "concluded_at": slot} | fields
    return Run.objects.create(
        id=Run.id_of_slot(job.pk, slot), organisation=job.organisation, cron_job=job, scheduled_for=slot,
        business_date=slot.date(), trigger=Run.Trigger.SCHEDULE, actions=["pause"], created_at=slot, **values,
    )  # fmt: skip


def check(*options: str) -> tuple[int, str]:
    """Return the exit code and what was written."""
    out = StringIO()
    try:
        call_command("check_nightly", *options, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    except SystemExit as error:
        return int(error.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_night_in_order_is_a_line_and_0(job: CronJob, alarms: Receiver) -> None:
    run = run_of(job)

    code, said = check()

    assert code == 0
    assert f"UTC: in order (run {run.pk})" in said
    assert "Alarm by apprise:json: has never got through" in said


def test_before_the_first_schedule_it_says_so(hlf: Organisation) -> None:
    code, said = check()

    assert code == 0
    assert said.startswith("There is no schedule yet.")


def test_a_night_that_is_not_is_named_and_1(job: CronJob) -> None:
    run_of(job, status="failed")

    code, said = check()

    assert code == 1
    assert "Its run is failed." in said


def test_a_silent_part_is_not_in_order_either(job: CronJob) -> None:
    run_of(job)
    heartbeats.record_heartbeat(Component.BEAT, now=timezone.now() - HOUR)

    code, said = check()

    assert code == 1
    assert "in order (run" in said
    assert "A component is silent: beat: It was last heard of at" in said


def test_as_json_it_is_one_document(job: CronJob) -> None:
    code, said = check("--format", "json")

    document = json.loads(said)
    assert (code, document["in_order"]) == (1, False)
    [row] = document["jobs"]
    assert (row["organisation"], row["job"], row["fault"], row["run_id"]) == ("hlf", "nightly", "Nobody ran it.", None)
    assert document["problems"] == []


@pytest.mark.parametrize(
    ("fields", "code", "begins"),
    [
        ({}, 0, "NATTEVAKT OK - 1 night in order | 'hlf nightly'="),
        ({"status": "partial"}, 2, "NATTEVAKT CRITICAL - hlf nightly: Its run is partial."),
        ({"status": "running", "finished_at": None}, 2, "NATTEVAKT CRITICAL - hlf nightly: Its run is still running."),
    ],
)
def test_nagios_reads_one_line_and_its_own_codes(job: CronJob, fields: dict[str, Any], code: int, begins: str) -> None:
    run_of(job, **fields)

    found, said = check("--nagios")

    assert found == code
    assert said.startswith(begins)
    assert said.count("\n") == 1


def test_nagios_is_told_the_age_of_the_last_green_run(job: CronJob) -> None:
    run_of(job)

    _code, said = check("--nagios")

    age = int(said.rpartition("=")[2].strip().rstrip("s"))
    assert 2 * 3600 <= age < 2 * 3600 + 120


def test_nagios_is_warned_of_what_is_no_night(job: CronJob) -> None:
    run_of(job)
    heartbeats.record_heartbeat(Component.BEAT, now=timezone.now() - HOUR)

    code, said = check("--nagios")

    assert code == 1
    assert said.startswith("NATTEVAKT WARNING - A component is silent: beat |")


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_without_a_database_nagios_is_told_so() -> None:
    nowhere = f"postgres://nattevakt:secret@127.0.0.1:{free_port()}/nattevakt"
    environment = live_environment(DATABASE_URL=nowhere, LOG_LEVEL="ERROR")
    with running("python", "manage.py", "check_nightly", "--nagios", env=environment) as process:
        found, said = process.popen.wait(PATIENCE), process.output

    assert found == 3
    assert "database" in said
    assert said.count("\n") == 1
    assert "secret" not in said


@pytest.mark.django_db(transaction=True)
def test_without_a_database_a_person_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = connection.get_connection_params() | {"host": "127.0.0.1", "port": free_port(), "password": "secret"}
    monkeypatch.setattr(connection, "get_connection_params", lambda: nowhere)
    connection.close()

    with pytest.raises(SystemExit) as ended:
        ManagementUtility(["manage.py", "check_nightly", "--format=text"]).execute()

    said = "".join(capsys.readouterr())
    assert ended.value.code == 1
    assert "database" in said
    assert said.count("\n") == 1
    assert "secret" not in said


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_without_redis_it_says_the_same(job: CronJob) -> None:
    run_of(job)
    environment = live_environment(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0", LOG_LEVEL="ERROR")
    with running("python", "manage.py", "check_nightly", env=environment) as process:
        found, said = process.popen.wait(PATIENCE), process.output

    assert found == 0, said
    assert "in order (run" in said


# test_alert


def test_a_test_of_the_alarm_goes_by_every_route_and_proves_them(alarms: Receiver, settings: Settings) -> None:
    with mail_server() as mail:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.OPERATIONS_EMAIL = (
            "127.0.0.1",
            mail.port,
            "drift@example.org",
        )
        out = StringIO()
        call_command("test_alert", stdout=out)

    assert out.getvalue().splitlines() == [
        "raised, email: it got through",
        "raised, apprise:json: it got through",
        "all clear, email: it got through",
        "all clear, apprise:json: it got through",
    ]
    assert [mail["Subject"] for mail in mail.received] == [
        "[Nattevakt] Test of the alarm",
        "[Nattevakt] All clear: Test of the alarm",
    ]
    incident = Incident.objects.get()
    assert incident.notified_at
    assert incident.cleared_at
    assert Alert.objects.filter(incident=incident, error="").count() == 4
    assert "Alarm by email: last got through at" in check()[1]


def test_a_route_that_fails_is_named(alarms: Receiver, settings: Settings) -> None:
    settings.ALERT_URLS = [f"json://127.0.0.1:{free_port()}/", *settings.ALERT_URLS]

    with pytest.raises(CommandError, match=r"The alarm did not get through by apprise:json\.$"):
        call_command("test_alert", stdout=StringIO())

    assert len(alarms.received) == 2


def test_without_any_route_it_says_what_to_set() -> None:
    with pytest.raises(CommandError, match="OPERATIONS_EMAIL or ALERT_URLS"):
        call_command("test_alert", stdout=StringIO())

    assert not Incident.objects.exists()


# The admin.


def test_the_admin_shows_incidents_their_alerts_and_when_a_route_last_proved_itself(
    desk: Desk, alarms: Receiver
) -> None:
    client = desk(User.objects.create_superuser("admin"))
    before = client.get("/admin/cronjobs/alert/")
    call_command("test_alert", stdout=StringIO())
    incident = Incident.objects.get()

    listed = client.get("/admin/cronjobs/alert/")
    one = client.get(f"/admin/cronjobs/incident/{incident.pk}/change/")

    assert "never got through" in before.content.decode()
    assert "The alarm last got through: apprise:json 20" in listed.content.decode()
    assert "apprise:json" in one.content.decode()
    assert 'name="_save"' not in one.content.decode()
    for page in ("incident", "heartbeat", "outage"):
        assert client.get(f"/admin/cronjobs/{page}/").status_code == 200
        assert client.get(f"/admin/cronjobs/{page}/add/").status_code == 403
