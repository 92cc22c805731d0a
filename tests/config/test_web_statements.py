"""A statement of the web server ends in time, alone or behind somebody's lock; one of all other processes never."""

from __future__ import annotations

import subprocess
import sys

import pytest
import requests
from django.db import connection, transaction

from mentors.models import Chapter
from tests.support.processes import PROJECT, live_environment, web

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

PAGE, LIST = "/hlf/oslo/", "/api/v1/public/hlf/chapters/oslo/mentors"
ENGLISH = {"Accept-Language": "en"}


@pytest.mark.parametrize(
    ("lock", "statement"), [("1", "600"), ("600", "1")], ids=["it waits for a lock", "it takes too long"]
)
def test_a_visitor_is_told_in_a_sentence_and_an_app_in_the_shape_of_its_errors(
    oslo: Chapter, lock: str, statement: str
) -> None:
    with web(processes=1, WEB_LOCK_SECONDS=lock, WEB_STATEMENT_SECONDS=statement) as url:
        with transaction.atomic():
            connection.cursor().execute("LOCK TABLE mentors_chapter IN ACCESS EXCLUSIVE MODE")
            page = requests.get(url + PAGE, headers=ENGLISH, timeout=120)
            data = requests.get(url + LIST, headers=ENGLISH, timeout=120)

        assert (page.status_code, page.headers["Retry-After"]) == (503, "10")
        assert page.text.startswith("It took too long, and nothing was done.")
        assert (data.status_code, data.headers["Retry-After"]) == (503, "10")
        assert data.json()["type"] == "server_error"
        assert data.json()["errors"][0]["code"] == "took_too_long"
        assert requests.get(url + PAGE, timeout=120).status_code == 200


@pytest.mark.parametrize("entry", ["config.celery", "config.settings"])
def test_workers_beat_and_commands_have_no_such_limit(entry: str) -> None:
    ask = (
        f"import {entry}, django; django.setup(); from django.db import connection as c; q = c.cursor();"
        "print([q.execute('SHOW ' + name).fetchone()[0] for name in ('statement_timeout', 'lock_timeout')])"
    )
    environment = live_environment(DJANGO_SETTINGS_MODULE="config.settings")

    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "['0', '0']"
