"""A heartbeat URL: whoever waits for it notices when it stays away (HEARTBEAT_URL, docs/hooks.md).

By the convention of healthchecks.io: `/start` when a slot's run is claimed, the address itself when it is closed green,
`/fail` when it is not. A missed slot sends nothing: its absence has been noticed, and the alarm for an old slot must
not come after the heartbeat of a newer one.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings

from cronjobs.hooks import RunError, RunResult
from cronjobs.monitoring.http_probe import answer_of


class HeartbeatRefused(Exception):
    """The heartbeat service takes no signal from this address: look whether the check still exists there."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The heartbeat service answered {status}: look whether the check still exists there.")


def on_run_claimed(result: RunResult) -> None:
    _beat("/start", result)


def on_run_complete(result: RunResult) -> None:
    _beat("", result)


def on_run_error(error: RunError) -> None:
    if not error.result.is_missed:
        _beat("/fail", error.result)


def _beat(signal: str, result: RunResult) -> None:
    """Send one signal of a slot's run, or raise; what a person starts is no sign that the schedule works."""
    if result.scheduled_for is None or result.cron_job_id is None:
        return
    parts = urlsplit(settings.HEARTBEAT_URL.replace("{slug}", result.slug))
    # `rid` lets the service pair the start of a run with its end.
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("rid", str(result.run_id))])
    address = parts._replace(path=parts.path.rstrip("/") + signal, query=query).geturl()
    if (status := answer_of(address)) >= 400:
        raise HeartbeatRefused(status)
