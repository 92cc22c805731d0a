"""What a channel is: one file."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from mentors.models import Mentor, Organisation
from notifications.channels import CHANNELS
from notifications.models import Notification, Preference
from tests.conftest import Certify
from tests.support.processes import PROJECT, live_environment

# Apprise imports it as it loads its services, on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
PIGEON = """
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.utils.translation import gettext_lazy as _

from notifications import gateway as gateways
from notifications.channel import Channel, Envelope, Recipient, Refused, Send

LOFT = Path(__file__).parent


class Pigeon(Channel):
    label = _("pigeon")

    def address_of(self, recipient: Recipient) -> str:
        return recipient.chosen

    def host_of(self, address: str) -> str:
        return "loft"

    @contextmanager
    def connect(self) -> Iterator[Send]:
        yield self.fly

    def fly(self, envelope: Envelope) -> None:
        if envelope.address == "nowhere":
            raise Refused("It came back.")
        (LOFT / envelope.address).write_text(envelope.rendered.subject, encoding="utf-8")


CHANNEL = Pigeon()
"""

# As if the file lay in notifications/channels/.
WITH_PIGEON = """
import sys
from importlib.util import find_spec, module_from_spec
spec = find_spec("notifications.channels")
spec.submodule_search_locations.append(sys.argv[1])
sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
import django
django.setup()
"""


def with_pigeon(loft: Path, script: str) -> str:
    (loft / "pigeon.py").write_text(PIGEON, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", WITH_PIGEON + script, str(loft)],
        env=live_environment(DJANGO_SETTINGS_MODULE="config.settings", PYTHONPATH=str(PROJECT)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_file_is_all_that_it_takes_to_be_chosen_and_delivered(
    tmp_path: Path, always_open: Organisation, mentor: Mentor, certify: Certify, today: date
) -> None:
    Preference.objects.create(mentor=mentor, channel="pigeon", address="liv")
    certify(mentor, expires_in=7)

    said = with_pigeon(
        tmp_path,
        "from datetime import date, timedelta\n"
        "from certifications.recheck import recheck_messages\n"
        "from mentors.models import Organisation\n"
        "from notifications.delivery import deliver_batch\n"
        "from notifications.models import Notification, Preference\n"
        "from tests.support.nights import noon, run_night\n"
        f"on = date.fromisoformat('{today}')\n"
        "run_night(Organisation.objects.get(), on)\n"
        "deliver_batch(now=noon(on) + timedelta(hours=1), recheck_messages=recheck_messages)\n"
        "print([code for code, label in Preference._meta.get_field('channel').flatchoices])\n"
        "print('pigeon' in dict(Notification._meta.get_field('channel').flatchoices))\n",
    )

    choices, is_kept = said.splitlines()
    assert "'pigeon'" in choices
    assert "'sms'" in choices
    assert "'inbox'" not in choices
    assert is_kept == "True"
    told = Notification.objects.get(recipient_mentor=mentor)
    assert (told.channel, told.status) == ("pigeon", "sent")
    assert (tmp_path / "liv").read_text(encoding="utf-8")


def test_every_channel_of_the_service_has_a_name_that_its_column_holds() -> None:
    assert {"email", "inbox", "operations", "webhook", "sms", "chat"} <= CHANNELS.keys()
    for code, channel in CHANNELS.items():
        assert len(code) <= (Notification._meta.get_field("channel").max_length or 0)
        assert str(channel.label)
