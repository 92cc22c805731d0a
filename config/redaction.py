"""What may be said of an error or of somebody else's log line: where and what kind, and nothing of any person.

The text of an error may quote anything: a database's quotes the row, a mail server's the address. So its type stands
for it, with the codes that it carries. Log lines and reports to Sentry go through here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

LEFT_OUT = "…"
# They quote what they were asked for: paths, whose parts may be the token of somebody's link, and addresses.
LOGGERS_OF_REQUESTS = ("django.request", "django.security", "gunicorn")
ADDRESS = re.compile(r" from ip=.*", re.DOTALL)


def describe(error: BaseException) -> str:
    """Return the type of an error, and the codes and names of what it is about, if it has some."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    said_by_postgres = getattr(error, "diag", None) or getattr(error.__cause__, "diag", None)
    facts = [getattr(said_by_postgres, fact, None) for fact in ("sqlstate", "table_name", "constraint_name")]
    facts.append(getattr(error, "errno", None))
    return " ".join([name, *(str(fact) for fact in facts if fact)])


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came of, as a traceback would show them, the last first."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def trace(error: BaseException) -> str:
    """Return where an error came from, by file and line, and where what it came of did."""
    return "\nafter ".join("\n".join([describe(link), *_places(link)]) for link in chain(error))


def _places(error: BaseException) -> Iterator[str]:
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        yield f"  {code.co_filename}:{step.tb_lineno} in {code.co_name}"
        step = step.tb_next


def sentence(record: logging.LogRecord) -> str:
    """Return what a foreign log line says, with every error in it described instead of quoted."""
    error = record.exc_info[1] if record.exc_info else None
    quiet = record.name.startswith(LOGGERS_OF_REQUESTS) and record.levelno >= logging.WARNING
    text = _fill(record, quiet=quiet, error=error)
    for link in chain(error) if error else ():
        text = text.replace(str(link), describe(link)) if str(link) else text
    return ADDRESS.sub("", text) if quiet else text


def _fill(record: logging.LogRecord, *, quiet: bool, error: BaseException | None) -> str:
    text, args = str(record.msg), record.args
    with suppress(TypeError, ValueError, KeyError):  # a line whose values do not fit is still a line
        if isinstance(args, Mapping):
            return text % {name: _fit(value, quiet=quiet, error=error, name=name) for name, value in args.items()}
        if args:
            return text % tuple(_fit(value, quiet=quiet) for value in args)
    return text


def _fit(value: Any, *, quiet: bool, error: BaseException | None = None, name: str = "") -> Any:
    if isinstance(value, BaseException):
        return describe(value)
    if name == "exc":  # as Celery says why a task failed: already a text
        return describe(error) if error else LEFT_OUT
    return LEFT_OUT if quiet and isinstance(value, str) and re.search(r"[/\n]", value) else value
