"""Errors and foreign log lines without personal data: only what happened, and where.

The text of an error may quote personal data: a database's error quotes the row, a mail server's the address. It is
replaced by the error's type and codes. Log lines and reports to Sentry are redacted here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

OMITTED = "…"
# Their lines quote IP addresses and paths, and a path may contain the token of a person's link.
REQUEST_LOGGERS = ("django.request", "django.security", "gunicorn")
ADDRESS = re.compile(r" from ip=.*", re.DOTALL)


def describe(error: BaseException) -> str:
    """Return the type of an error, with its codes and the names of table and constraint if it has any."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    diagnostics = getattr(error, "diag", None) or getattr(error.__cause__, "diag", None)
    facts = [getattr(diagnostics, fact, None) for fact in ("sqlstate", "table_name", "constraint_name")]
    facts.append(getattr(error, "errno", None))
    return " ".join([name, *(str(fact) for fact in facts if fact)])


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, as a traceback would show them, the last first."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def trace(error: BaseException) -> str:
    """Return where an error and its causes were raised, by file and line."""
    return "\nafter ".join("\n".join([describe(link), *_places(link)]) for link in chain(error))


def _places(error: BaseException) -> Iterator[str]:
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        yield f"  {code.co_filename}:{step.tb_lineno} in {code.co_name}"
        step = step.tb_next


def redact_record(record: logging.LogRecord) -> str:
    """Return the text of a foreign log line, with each error in it described instead of quoted."""
    error = record.exc_info[1] if record.exc_info else None
    is_request = record.name.startswith(REQUEST_LOGGERS) and record.levelno >= logging.WARNING
    text = _fill(record, is_request=is_request, error=error)
    for link in chain(error) if error else ():
        text = text.replace(str(link), describe(link)) if str(link) else text
    return ADDRESS.sub("", text) if is_request else text


def _fill(record: logging.LogRecord, *, is_request: bool, error: BaseException | None) -> str:
    text, args = str(record.msg), record.args
    with suppress(TypeError, ValueError, KeyError):  # a line whose values do not match its text is still logged
        if isinstance(args, Mapping):
            return text % {
                name: _redact_value(value, is_request=is_request, error=error, name=name)
                for name, value in args.items()
            }
        if args:
            return text % tuple(_redact_value(value, is_request=is_request) for value in args)
    return text


def _redact_value(value: Any, *, is_request: bool, error: BaseException | None = None, name: str = "") -> Any:
    if isinstance(value, BaseException):
        return describe(value)
    if name == "exc":  # Celery's reason why a task failed, already formatted
        return describe(error) if error else OMITTED
    return OMITTED if is_request and isinstance(value, str) and re.search(r"[/\n]", value) else value
