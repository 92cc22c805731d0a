"""Reports errors to Sentry, without personal data. Imported only if SENTRY_DSN is set.

A report does not contain the texts of errors, values of variables, the user, or command lines. It has the method and
the route of the request; of what happened before, log lines and SQL without its values.
"""

from __future__ import annotations

from logging import LogRecord
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.logging import ignore_logger
from structlog.contextvars import get_contextvars

from config.redaction import chain, describe, redact_record

# The first would report phone numbers. What the second logs of a run is reported by the hook for Sentry.
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
        # Its own monitors take a run as finished when beat has sent it (ADR 15). Its headers would go to the broker.
        integrations=[CeleryIntegration(monitor_beat_tasks=False, propagate_traces=False)],
    )


def before_send(event: Any, hint: dict[str, Any]) -> Any:
    """Remove from a report what may be personal, and add the ids of run, task and request."""
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
    """Keep only log lines, and SQL without values: a gateway's URL, for example, may hold a phone number."""
    if record := hint.get("log_record"):
        fields = _fields(record)
        return crumb | {"message": fields.pop("event"), "data": fields}
    if crumb.get("category") == "query":
        return crumb | {"data": {}}
    return None


def _describe_errors(event: Any, hint: dict[str, Any]) -> None:
    _type, error, _traceback = hint.get("exc_info") or (None, None, None)
    descriptions = {type(link).__name__: describe(link) for link in chain(error)} if error else {}
    for value in event.get("exception", {}).get("values", ()):
        value["value"] = descriptions.get(value.get("type"), "")
        value.get("mechanism", {}).pop("data", None)


def _fields(record: LogRecord) -> dict[str, Any]:
    """Return the fields of a log line; a foreign one has only its text, as `event`."""
    if not isinstance(record.msg, dict):
        return {"event": redact_record(record)}
    return {name: value for name, value in record.msg.items() if name not in ("level", "logger", "timestamp")}
