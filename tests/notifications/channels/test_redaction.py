"""What is logged and reported of a message through a gateway."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.processes import PROJECT, live_environment
from tests.support.receiver import Answer, Receiver, http_receiver

# Apprise imports it as it loads its services, on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
LOUD = """
import django, logging, sentry_sdk, sys
django.setup()
from django.conf import settings
from notifications.channel import Envelope, Undelivered
from notifications.channels.sms import CHANNEL
from notifications.rendered_message import RenderedMessage
from django.utils import timezone
rendered = RenderedMessage(language="nb", subject="Liv", short="Hei, Liv!", greeting="", blocks=(), footer=())
logging.getLogger("notifications").warning("the log is open")
for settings.SMS_URL in sys.argv[1:]:
    with CHANNEL.connect() as post:
        for number in ("+4791234567", "+4790000000"):
            try:
                envelope = {"rendered": rendered, "sender": "", "message_id": "<1@x>", "written_at": timezone.now()}
                post(Envelope(address=number, **envelope))
            except Undelivered as error:
                print(error)
logging.getLogger("notifications").error("something is reported")
sentry_sdk.flush()
"""


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with http_receiver() as receiver:
        receiver.always(200)
        yield receiver


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_nothing_personal_is_logged_even_at_debug_or_reported(
    gateway: Receiver, sentry: Receiver, settings: Any
) -> None:
    gateway.answer = lambda request: Answer(200 if request.path.startswith("/sms/") else 500)
    # The one has the phone number in its path, the other in what Apprise says of a failure.
    urls = [settings.SMS_URL, f"signal://secret@127.0.0.1:{gateway.port}/+4790000001/{{to}}"]
    environment = live_environment(
        LOG_LEVEL="DEBUG",
        SENTRY_DSN=f"http://key@127.0.0.1:{sentry.port}/1",
        DJANGO_SETTINGS_MODULE="config.settings",
        PYTHONPATH=str(PROJECT),
    )

    done = subprocess.run(
        [sys.executable, "-c", LOUD, *urls], env=environment, capture_output=True, text=True, check=True
    )

    assert "the log is open" in done.stderr
    assert done.stdout.splitlines() == ["The gateway answered 500."] * 2
    assert len(gateway.received) == 4
    reported = "".join(gzip.decompress(request.body).decode() for request in sentry.received)
    assert "something is reported" in reported
    assert not re.search(r"91234567|90000000|Liv|secret", done.stderr + done.stdout + reported)
