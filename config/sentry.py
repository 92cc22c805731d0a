"""Errors to Sentry, without anything personal. Imported only where SENTRY_DSN is set.

Left out of a report: the texts of errors, the values of variables, the request but for its method and route, who was
logged in, command lines, and of what happened before all but SQL without its values and log lines.
"""

from __future__ import annotations

from logging import LogRecord
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.logging import ignore_logger
from structlog.contextvars import get_contextvars

from config.redaction import chain, describe, sentence

# The first would report phone numbers. What the second logs of a run, the hook for Sentry reports better.
NOT_REPORTED = ("apprise", "cronjobs.reporting.log")


def start(*, dsn: str, environment: str, release: str) -> None:
    """Report to Sentry from now on."""
    for logger in NOT_REPORTED:
        ignore_logger(logger)
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        auto_session_tracking=False,
        before_send=before_send,
        before_breadcrumb=before_breadcrumb,
        # Its own monitors say that a night is over when beat has sent it (ADR 15). Its headers would go to the broker.
        integrations=[CeleryIntegration(monitor_beat_tasks=False, propagate_traces=False)],
    )


def before_send(event: Any, hint: dict[str, Any]) -> Any:
    """Take out of a report what may be personal, and put in which run, task and request it belongs to."""
    event.pop("user", None)
    event["request"] = {"method": event.get("request", {}).get("method")}
    extra = event.pop("extra", {})
    event["extra"] = {"celery-job": extra["celery-job"]} if "celery-job" in extra else {}
    event["tags"] = {**event.get("tags", {}), **{name: str(value) for name, value in get_contextvars().items()}}
    _describe_errors(event, hint)
    if record := hint.get("log_record"):
        fields = _fields(record)
        event["logentry"] = {"message": fields.pop("event")}
        event["extra"] |= fields
    return event


def before_breadcrumb(crumb: Any, hint: dict[str, Any]) -> Any:
    """Keep what was logged and asked of the database; a gateway's URL, say, can hold a phone number or a password."""
    if record := hint.get("log_record"):
        fields = _fields(record)
        return crumb | {"message": fields.pop("event"), "data": fields}
    if crumb.get("category") == "query":
        return crumb | {"data": {}}
    return None


def _describe_errors(event: Any, hint: dict[str, Any]) -> None:
    _type, error, _traceback = hint.get("exc_info") or (None, None, None)
    said = {type(link).__name__: describe(link) for link in chain(error)} if error else {}
    for value in event.get("exception", {}).get("values", ()):
        value["value"] = said.get(value.get("type"), "")
        value.get("mechanism", {}).pop("data", None)


def _fields(record: LogRecord) -> dict[str, Any]:
    """Return what a log line says: our own have fields, another's is one sentence."""
    if not isinstance(record.msg, dict):
        return {"event": sentence(record)}
    return {name: value for name, value in record.msg.items() if name not in ("level", "logger", "timestamp")}
