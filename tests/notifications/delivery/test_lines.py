"""A line break in a name stops no mail: it is refused where names are written, and harmless where one is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from mentors.models import Chapter, Mentor, Organisation
from tests.support.delivery import Write, deliver, fate
from tests.support.mail import MailServer

pytestmark = pytest.mark.django_db

BROKEN = ["HLF\r\nBcc: all@example.org", "HLF\nOslo", "HLF\x1b[31m", "HLF\x85Oslo"]


@pytest.fixture
def as_before() -> None:
    """Let the tables take what they took before they had these constraints."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE mentors_organisation DROP CONSTRAINT organisation_name_is_one_line")
        cursor.execute("ALTER TABLE mentors_chapter DROP CONSTRAINT chapter_name_is_one_line")


@pytest.mark.parametrize("name", [*BROKEN, "HLF\u2028Oslo"])
def test_mail_leaves_whatever_is_stored(
    as_before: None, write: Write, post: MailServer, now: datetime, name: str
) -> None:
    notification = write(name=name)
    Organisation.objects.update(name=name)
    Chapter.objects.update(name=name)

    deliver(now)

    assert fate(notification)[0] == "sent"
    (mail,) = post.received
    assert mail["Bcc"] is None
    assert str(mail["From"]).startswith(("HLF ", '"HLF '))


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("model", [Organisation, Chapter, Mentor])
def test_such_a_name_is_refused_where_it_is_written(mentor: Mentor, model: Any, name: str) -> None:
    row = model.objects.get()
    row.name = name

    with pytest.raises(ValidationError) as error:
        row.full_clean()

    assert "name" in error.value.message_dict


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("model", [Organisation, Chapter])
def test_the_database_takes_no_such_name(mentor: Mentor, model: Any, name: str) -> None:
    with pytest.raises(IntegrityError, match="name_is_one_line"), transaction.atomic():
        model.objects.update(name=name)


def test_the_command_refuses_it(db: None) -> None:
    with pytest.raises(CommandError, match="one line"):
        call_command("create_organisation", "hlf", name="HLF\nOslo")
