"""docs/openapi.yaml is what is served, and a client generated from it does a day's work."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command

from certifications.models import Certification, CertificationType
from cronjobs.models import CronJob
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from tests.support.processes import PROJECT, SCRIPTS, wait_until, web, worker

SCHEMA = PROJECT / "docs" / "openapi.yaml"


def test_the_schema_in_the_repository_is_the_one_that_is_served(tmp_path: Path) -> None:
    served = tmp_path / "openapi.yaml"

    call_command("spectacular", "--validate", "--fail-on-warn", lang="en", file=str(served))

    assert served.read_text() == SCHEMA.read_text(), "The schema has changed: run `make schema`, and look at it."


def test_it_names_what_a_good_client_needs() -> None:
    schema = yaml.safe_load(SCHEMA.read_text())
    operations = [operation for path in schema["paths"].values() for operation in path.values()]

    assert schema["openapi"].startswith("3.1")
    assert all(operation.get("description") for operation in operations)
    assert all("429" in operation["responses"] for operation in operations)
    assert not [id for operation in operations if (id := operation["operationId"]).endswith(("_2", "_create_create"))]
    bodies = [schema["components"]["schemas"][name] for name in schema["components"]["schemas"] if "Request" in name]
    assert all(body["additionalProperties"] is False for body in bodies if body.get("type") == "object")


@pytest.fixture
def nattevakt(tmp_path: Path) -> Iterator[str]:
    """A client, as openapi-python-client writes it; the name of its package."""
    package = tmp_path / "nattevakt_client"
    command = [f"{SCRIPTS}/openapi-python-client", "generate", f"--path={SCHEMA}", f"--output-path={package}",
               "--meta=none", "--fail-on-warning"]  # fmt: skip
    environment = {"PATH": f"{SCRIPTS}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(tmp_path))
    yield package.name
    sys.path.remove(str(tmp_path))
    for module in [name for name in sys.modules if name.partition(".")[0] == package.name]:
        del sys.modules[module]


@pytest.fixture
def cast() -> tuple[Mentor, CronJob]:
    """A mentor whom the night has paused, and another whom it should have."""
    now = datetime.now(UTC)
    hlf = Organisation.objects.create(slug="hlf", name="HLF")
    oslo = Chapter.objects.create(organisation=hlf, name="Oslo", slug="oslo")
    course = CertificationType.objects.create(
        organisation=hlf, code="likepersonkurs", name="Kurs", required=True, validity_months=24
    )
    olav = User.objects.create_user("olav", password="battery staple")
    CoordinatorRole.objects.create(user=olav, organisation=hlf)
    paused, overlooked = (
        Mentor.objects.create(organisation=hlf, chapter=oslo, ref=ref, name=ref, **fields)
        for ref, fields in (("M1", {"status": "paused", "pause_cause": "certification_expired"}), ("M2", {}))
    )
    for mentor in (paused, overlooked):
        Certification.objects.create(
            mentor=mentor,
            type=course,
            issued_on=now.date() - timedelta(days=800),
            expires_on=now.date() - timedelta(days=3),
        )
    return paused, schedule_nightly_run(organisation=hlf, now=now)


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_generated_client_logs_in_records_renews_executes_and_reads(nattevakt: str, cast: Any) -> None:
    paused, job = cast

    def operation(name: str) -> Any:
        return importlib.import_module(f"{nattevakt}.api.{name}")

    models = importlib.import_module(f"{nattevakt}.models")
    package = importlib.import_module(nattevakt)
    today = date.today()  # noqa: DTZ011 – any day that is near will do
    with ExitStack() as stack:
        address, _ = stack.enter_context(web()), stack.enter_context(worker())
        anybody = stack.enter_context(package.Client(base_url=address))
        login = operation("auth.login").sync(
            client=anybody, body=models.LoginRequest(username="olav", password="battery staple")
        )
        api = stack.enter_context(package.AuthenticatedClient(base_url=address, token=login.token, prefix="Token"))

        [expired, _] = (
            operation("certifications.certifications_list")
            .sync(client=api, state=models.CertificationsListState.EXPIRED)
            .results
        )
        renewed = operation("certifications.certifications_renew").sync(
            expired.id, client=api, body=models.RenewRequest(issued_on=today)
        )
        recorded = operation("certifications.certifications_create").sync(
            client=api,
            body=models.RecordRequest(mentor=expired.mentor, type_="likepersonkurs", issued_on=today, number="2"),
        )
        again = operation("certifications.certifications_renew").sync(
            expired.id, client=api, body=models.RenewRequest(issued_on=today)
        )
        resumed = operation("mentors.mentors_retrieve").sync(expired.mentor, client=api)
        run = operation("certification_cron.certification_cron_execute").sync(
            job.pk, client=api, body=models.ExecuteRequest()
        )
        read = operation("runs.runs_retrieve")
        wait_until(lambda: read.sync(run.id, client=api).finished_at, what="the end of the run")
        closed = read.sync(run.id, client=api)
        items = operation("runs.runs_items").sync(run.id, client=api).results

    assert (expired.mentor, renewed.state, recorded.number) == (paused.pk, models.StateEnum.VALID, "2")
    assert (type(again).__name__, again.id) == ("Conflict", renewed.id)
    assert resumed.status == models.MentorStatus.ACTIVE
    assert (closed.status, closed.counts.pause.done) == ("succeeded", 1)
    assert [(item.action, item.mentor_ref, item.status) for item in items] == [("pause", "M2", "done")]
