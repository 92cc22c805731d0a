"""Logs: one JSON object a line on standard error, from our own code, Django, Celery and gunicorn alike (docs/logs.md).

    ours ───── log.info("batch done", event_name="batch_done", run_id=…, counts=…, seconds=…)
    foreign ── what Django, Celery and gunicorn log, made discreet first
    both ───── with the run, the task and the request that they belong to, from structlog's context

Nothing personal may come out here: our own lines have ids only, and of errors their type and place.
"""

from __future__ import annotations

from typing import Any

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from config.redaction import sentence, trace


def set_up(level: str) -> dict[str, Any]:
    """Set structlog up, and return what the standard library's logging is to be configured with."""
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
                "use_get_message": False,  # `make_discreet` puts it together
                "pass_foreign_args": True,
                "foreign_pre_chain": [make_discreet, *in_common],
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
            # They would write names and addresses.
            "axes": {"level": "CRITICAL"},
            "urllib3": {"level": "CRITICAL"},
            "django.db.backends": {"level": "WARNING"},
            # Phone numbers too; but what it says of an attempt is all that notifications/gateway.py can learn of it.
            "apprise": {"level": "WARNING", "handlers": ["nowhere"], "propagate": False},
        },
    }


def make_discreet(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say of a foreign line what may be said; of a request that it is about, its route and the answer's status."""
    record = event["_record"]
    record.args = event.pop("positional_args")
    event["event"] = sentence(record)
    record.args = ()  # they are in the sentence
    if request := getattr(record, "request", None):
        match = getattr(request, "resolver_match", None)
        event["route"] = match.route if match else None
        event["status"] = getattr(record, "status_code", None)
    return event


def _render_error(exc_info: ExcInfo) -> str:
    return trace(exc_info[1])
