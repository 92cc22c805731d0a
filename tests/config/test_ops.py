"""What operations get with the service: alert rules, their tests, a dashboard; all about metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from cronjobs.monitoring.metrics import NightCollector
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation
from tests.conftest import NOW
from tests.support.processes import PROJECT, web

OPS = PROJECT / "ops"
RULES: list[dict[str, Any]] = YAML(typ="safe").load(OPS / "alerts.yml")["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((OPS / "grafana.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
NAME = re.compile(r"nattevakt_\w+")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="There is no promtool on this machine: install Debian's package prometheus (apt-get install prometheus).",
)


def promtool(*arguments: str | Path, input: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *map(str, arguments)], input=input, capture_output=True, text=True, check=False, timeout=120
    )


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


@pytest.fixture
def metrics(db: None) -> set[str]:
    """Every name that /metrics has, values or not."""
    registry = CollectorRegistry()
    registry.register(NightCollector(now=NOW))
    return {family.name + ("_info" if family.type == "info" else "") for family in registry.collect()}


class TestPromtool:
    pytestmark = needs_promtool

    def test_the_rules_have_no_fault(self) -> None:
        done = promtool("check", "rules", "--lint=all", "--lint-fatal", OPS / "alerts.yml")

        assert done.returncode == 0, done.stdout + done.stderr

    def test_each_alert_rings_when_it_should_and_none_when_all_is_well(self) -> None:
        done = promtool("test", "rules", OPS / "alerts_test.yml")

        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_example_of_a_configuration_has_no_fault(self) -> None:
        done = promtool("check", "config", "--syntax-only", OPS / "prometheus.yml")

        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
    def test_prometheus_can_read_what_a_panel_asks(self, panel: dict[str, Any], tmp_path: Path) -> None:
        asked = [re.sub(r"\$\w+", "x", expression) for expression in expressions(panel)]
        rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
        file = tmp_path / "panel.yml"  # JSON is YAML
        file.write_text(json.dumps({"groups": [{"name": "panel", "rules": rules}]}))

        done = promtool("check", "rules", file)

        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.processes
    @pytest.mark.django_db(transaction=True)
    def test_what_the_web_server_tells_has_no_fault(self, hlf: Organisation) -> None:
        create_cron_job(organisation=hlf, name="nightly", now=datetime.now(UTC) - timedelta(days=3))
        with web(METRICS_TOKEN="of-this-test", SECURE_SSL_REDIRECT="true") as address:
            token = {"Authorization": "Bearer of-this-test"}
            told = requests.get(f"{address}/metrics", headers=token, allow_redirects=False, timeout=120).text

        done = promtool("check", "metrics", input=told)

        assert 'nattevakt_job_in_order{cron_job="' in told
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class TestTheAlerts:
    def test_they_are_about_metrics_that_there_are(self, metrics: set[str]) -> None:
        asked = {name for rule in RULES for name in NAME.findall(rule["expr"])}
        tried = set(NAME.findall((OPS / "alerts_test.yml").read_text(encoding="utf-8")))

        assert asked
        assert asked <= metrics
        assert tried <= metrics

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
    def test_each_says_how_bad_it_is_what_it_means_and_what_to_do(self, rule: dict[str, Any]) -> None:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert all(rule["annotations"].values())

    def test_each_has_its_section_in_the_runbook(self) -> None:
        runbook = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", runbook, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}

        before = "{{ $externalLabels.runbooks }}docs/operations.md#"  # which ops/prometheus.yml sets
        sections = {rule["annotations"]["runbook_url"].removeprefix(before) for rule in RULES}

        assert sections <= anchors

    def test_each_is_made_to_ring_in_their_tests(self) -> None:
        names = {rule["alert"] for rule in RULES}

        tests = YAML(typ="safe").load(OPS / "alerts_test.yml")["tests"]
        rung = {
            name
            for test in tests
            for asked in test.get("promql_expr_test", [])
            for sample in asked["exp_samples"]
            for name in re.findall(r'alertname="(\w+)"', sample["labels"])
        }

        assert rung == names

    def test_the_example_names_the_service_as_they_do(self) -> None:
        example = YAML(typ="safe").load(OPS / "prometheus.yml")
        [scrape] = example["scrape_configs"]
        named = {name for rule in RULES for name in re.findall(r'job="(\w+)"', rule["expr"])}

        assert named == {scrape["job_name"]}
        assert [(OPS / file).is_file() for file in example["rule_files"]] == [True]


class TestTheDashboard:
    def test_it_asks_for_metrics_that_there_are(self, metrics: set[str]) -> None:
        asked = {name for panel in PANELS for expression in expressions(panel) for name in NAME.findall(expression)}
        choices = set(NAME.findall(json.dumps(DASHBOARD["templating"])))

        assert choices <= metrics
        assert asked == metrics  # and shows all of them

    def test_it_can_be_imported_beside_others(self) -> None:
        variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS)))
        sources = {panel["datasource"]["uid"] for panel in PANELS} | {
            target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]
        }

        assert DASHBOARD["schemaVersion"] >= 38  # of Grafana 10
        assert "id" not in DASHBOARD
        assert used <= variables
        assert sources == {"${datasource}"}

    def test_each_panel_has_an_id_a_title_and_a_place_of_its_own(self) -> None:
        assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
        assert all(0 <= panel["gridPos"]["x"] <= 24 - panel["gridPos"]["w"] for panel in PANELS)
        overlapping = [
            (one["title"], other["title"]) for one, other in combinations(PANELS, 2) if _cells(one) & _cells(other)
        ]
        assert overlapping == []


def _cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    return {
        (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
    }
