"""Databases of the bench's own: filled once, and cloned for each measurement, so that all start from the same state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import sql

BASE = str(settings.DATABASES["default"]["NAME"])


@contextmanager
def migrated() -> Iterator[str]:
    """Create a migrated database with nothing in it, which each template begins as; it is dropped at the end."""
    database = f"{BASE}_bench_migrated"
    _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)
    _administer("CREATE DATABASE {}", database)
    try:
        with connected_to(database):
            call_command("migrate", verbosity=0)
        yield database
    finally:
        _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)


@contextmanager
def template(name: str, fill: Callable[[], None], *, empty: str) -> Iterator[str]:
    """Copy the migrated database and fill the copy; it is dropped at the end."""
    database = f"{BASE}_bench_{name}"
    _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)
    _administer("CREATE DATABASE {} TEMPLATE {}", database, empty)
    try:
        with connected_to(database):
            fill()
        yield database
    finally:
        _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)


@contextmanager
def clone(database: str) -> Iterator[str]:
    """Clone a database and connect this process to the clone, with everything written to disk."""
    copy = f"{database}_clone"
    _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", copy)
    _administer("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", copy, database)
    try:
        with connected_to(copy):
            with connection.cursor() as cursor:
                cursor.execute("CHECKPOINT")
            yield copy
    finally:
        _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", copy)


@contextmanager
def connected_to(database: str) -> Iterator[None]:
    """Let Django's connection lead to another database of the server."""
    connection.close()
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = BASE


def url_of(database: str) -> str:
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl()


def ask(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _administer(statement: str, *names: str) -> None:
    with psycopg.connect(url_of("postgres"), autocommit=True) as administrator:
        administrator.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
