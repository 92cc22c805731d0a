"""Asking the desk for trouble: every address, and every parameter and field, known or not, set to what nobody means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import cycle, islice
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import admin
from django.contrib.admin.views import main
from django.db import models, transaction
from django.http import HttpRequest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

NUL = "\0"
WRONG = (
    "", "x", "(", "[", "\\", "1'", "' OR 1=1--", "%", "-1", "0", "9" * 20, "1" + 30 * "0", "1e400", "NaN", NUL,
    f"1{NUL}", "\ud800", "🦉" * 300, "9" * 5000, "0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30",
    "9999-12-31 23:59:59", "True", "None", "../../etc/passwd", "<script>", "{{ 7 * 7 }}", "//evil.example", "1,2",
    "a,b", "[]", "{}", "null", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip
FEW = ("(", "1", NUL, "9" * 20, "a,b", "9999-12-31", "", "True")  # by which each kind of lookup would break
LOOKUPS = (
    "", "exact", "iexact", "contains", "startswith", "regex", "iregex", "gt", "lte", "in", "isnull", "range", "year",
    "date", "week_day", "search", "unaccent", "contained_by", "has_key", "0", "nothing", "exact__exact",
)  # fmt: skip
LIST_CONTROLS = (main.ALL_VAR, main.ORDER_VAR, main.PAGE_VAR, main.SEARCH_VAR, main.ERROR_FLAG, "_facets")
CONTROLS = (
    *LIST_CONTROLS, "_popup", "_to_field", "_source_model", "_changelist_filters", "next", "page",
    "action", "status", "format", "chapter", "term", "app_label", "model_name", "field_name", "s", "nobody", "__",
    "a__", "pk", "pk__in", "id__regex", "password", "user__password__startswith", "mentor__chapter__slug__regex",
)  # fmt: skip
BUTTONS = (
    "_save", "_continue", "_addanother", "_saveasnew", "_popup", "_to_field", "_selected_action", "action",
    "select_across", "index", "apply", "edit", "post", "nobody",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Address:
    """An address of the desk, and the ids of some of the rows that it may be about."""

    path: str
    ids: tuple[str, ...]

    @property
    def has_id(self) -> bool:
        return "{id}" in self.path

    @property
    def pages(self) -> list[str]:
        return [self.of(id) for id in self.ids] if self.has_id else [self.path]

    def of(self, id: str) -> str:
        return self.path.replace("{id}", quote(id.encode("utf-8", "surrogatepass"), safe=""))


def addresses() -> list[Address]:
    """List what the resolver knows below /admin/, each with the first three rows of its kind, and the last."""
    found = []
    for path in _walk(get_resolver().url_patterns, ""):
        model = next((m for m in admin.site._registry if f"/{m._meta.app_label}/{m._meta.model_name}/" in path), None)
        ids = [str(pk) for pk in model._base_manager.order_by("pk").values_list("pk", flat=True)] if model else ["1"]
        if path.startswith("admin/"):
            found.append(Address(path=f"/{path}", ids=tuple(ids[:3] + ids[3:][-1:])))
    return found


def _walk(patterns: Iterable[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
    for one in patterns:
        path = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _walk(one.url_patterns, path)
        elif "?P<app_label>" in path:
            yield prefix + "mentors/"
        elif "?P<url>" not in path:
            for name in one.pattern.converters:
                for written in (f"<path:{name}>", f"<uuid:{name}>", f"<int:{name}>", f"<{name}>"):
                    path = path.replace(written, "{id}")
            yield path


@dataclass(kw_only=True)
class Trouble:
    """A browser that asks for it. Whatever a request changes is taken back, so that each finds the same world.

    `found` says of each fault by which request it was seen first: an error of the server, or a word of `foreign` rows.
    """

    client: Client
    foreign: Collection[str] = ()
    asked: int = 0
    found: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, query: dict[str, str] | None = None) -> Any:
        return self._ask("GET", f"{path}?{_encode(query)}" if query else path)

    def post(self, path: str, values: dict[str, str]) -> Any:
        return self._ask("POST", path, _encode(values))

    def _ask(self, method: str, path: str, body: str = "") -> Any:
        self.asked += 1
        cookies = copy(self.client.cookies)
        atomic = transaction.atomic()
        atomic._from_testcase = True  # type: ignore[attr-defined]  # a claim, which insists on its own, may be in it
        with atomic:
            # Each from an address of its own, or the limits of the login would answer
            address = f"10.{self.asked >> 16}.{self.asked >> 8 & 255}.{self.asked & 255}"
            form = "application/x-www-form-urlencoded"
            answer: Any = self.client.generic(method, path, body, form, REMOTE_ADDR=address)
            transaction.set_rollback(True)
        self.client.cookies = cookies
        content = (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode()
        request = f"{method} {path[:300]} {body[:300]}"
        if answer.status_code >= 500:
            self.found.setdefault(_place(*answer.exc_info), request)
        for word in self.foreign:
            if word in content:
                self.found.setdefault(f"{path.partition('?')[0]} shows {word}", request)
        return answer


def _encode(values: dict[str, str]) -> str:
    return urlencode(values, errors="surrogatepass")


def _place(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """Return what went wrong, and in which functions, the last three outside of Django's middle."""
    frames = []
    while trace:
        code, trace = trace.tb_frame.f_code, trace.tb_next
        if "django/core/handlers" not in code.co_filename and "django/db" not in code.co_filename:
            frames.append(f"{code.co_filename.rpartition('site-packages/')[2]}:{code.co_name}")
    return f"{kind.__name__}: {str(error)[:80]!r} in {' '.join(frames[-3:])}"


class Fields(HTMLParser):
    """The fields of all forms of a page, with what a browser would send."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.open_field = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        its = dict(attrs)
        name = its.get("name") or ""
        if name and tag in ("input", "select", "textarea", "button"):
            self.values.setdefault(name, its.get("value") or "")
            self.open_field = name
        elif tag == "option" and "selected" in its:
            self.values[self.open_field] = its.get("value") or ""


def fields_of(answer: Any) -> dict[str, str]:
    """Return the fields of a page that is shown."""
    fields = Fields()
    if answer.status_code == 200 and "html" in answer.get("Content-Type", ""):
        fields.feed(answer.content.decode())
    return fields.values


def parameters_of(model: type[models.Model], request: HttpRequest) -> list[str]:
    """List the parameters by which the list of a model is filtered, ordered, searched and turned over."""
    its: Any = admin.site._registry[model]
    names = {name for one in its.get_changelist_instance(request).filter_specs for name in one.expected_parameters()}
    hierarchy = [f"{its.date_hierarchy}__{part}" for part in ("year", "month", "day")] if its.date_hierarchy else []
    return [*sorted(name for name in names if name), *hierarchy, *its.linked_lookups, *LIST_CONTROLS]


def lookups_of(model: type[models.Model]) -> Iterator[str]:
    """Yield the ways that Django knows to ask for rows of the model: by its fields, and across each relation."""
    for one in model._meta.get_fields():
        yield from (f"{one.name}__{lookup}".removesuffix("__") for lookup in LOOKUPS)
        if isinstance(one.related_model, type):
            for far in one.related_model._meta.get_fields():
                yield from (f"{one.name}__{far.name}__{lookup}".removesuffix("__") for lookup in ("", "regex", "gt"))


def pairs(names: Iterable[str], values: Sequence[str], *, each: int) -> Iterator[tuple[str, str]]:
    """Yield every name with some of the values, and with others for the next name: so all of them are tried."""
    turns = cycle(values)
    for name in names:
        for value in islice(turns, each):
            yield name, value
