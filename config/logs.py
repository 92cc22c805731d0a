"""Logs: one JSON object a line on standard error, from our own code, Django, Celery and gunicorn (docs/logs.md).

    ours ───── log.info("batch done", event_name="batch_done", run_id=…, counts=…, seconds=…)
    foreign ── what Django, Celery and gunicorn log, redacted first
    both ───── with the ids of run, task and request, from structlog's context

No line may contain personal data: our own lines have ids only, and the type and place of errors.
"""

from __future__ import annotations

from typing import Any

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from config.redaction import redact_record, trace


def configure_logging(level: str) -> dict[str, Any]:
    """Configure structlog, and return the configuration of the standard library's logging."""
    in_common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *in_common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "use_get_message": False,  # `redact_foreign_line` builds it
                "pass_foreign_args": True,
                "foreign_pre_chain": [redact_foreign_line, *in_common],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.ExceptionRenderer(_render_error),
                    structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
                ],
            },
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json"},
            "nowhere": {"class": "logging.NullHandler"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own handlers would write every line a second time, as text, or mail it.
            "django": {"handlers": [], "propagate": True},
            # Their lines contain names and addresses.
            "axes": {"level": "CRITICAL"},
            "urllib3": {"level": "CRITICAL"},
            "django.db.backends": {"level": "WARNING"},
            # And phone numbers; but notifications/gateway.py reads from these lines why an attempt failed.
            "apprise": {"level": "WARNING", "handlers": ["nowhere"], "propagate": False},
        },
    }


def redact_foreign_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact a line that is not our own; if it is about a request, add the route and the response's status."""
    record = event["_record"]
    record.args = event.pop("positional_args")
    event["event"] = redact_record(record)
    record.args = ()  # they are in the text now
    if request := getattr(record, "request", None):
        match = getattr(request, "resolver_match", None)
        event["route"] = match.route if match else None
        event["status"] = getattr(record, "status_code", None)
    return event


def _render_error(exc_info: ExcInfo) -> str:
    return trace(exc_info[1])
