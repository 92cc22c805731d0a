"""Inviting Nora, and reading what she gets."""

from __future__ import annotations

import re
from typing import Any

from mentors.models import Chapter, Organisation, User
from notifications.invitations import invite
from tests.conftest import NOW
from tests.support.mail import MailServer


def invite_nora(organisation: Organisation, *, actor: User, chapter: Chapter | None = None, **fields: Any) -> Any:
    given: dict[str, Any] = {
        "name": "Nora Lie Dahl",
        "email": "Nora@example.org",
        "duty": "coordinator",
        "now": NOW,
    } | fields
    return invite(organisation=organisation, chapter=chapter, actor=actor, **given)


def text_in(post: MailServer) -> str:
    body: Any = post.received[-1].get_body(("plain",))
    text: str = body.get_content()
    return text


def link_in(post: MailServer) -> str:
    found = re.search(r"https://nattevakt\.example\.org(/admin/invitation/\S+)", text_in(post))
    assert found
    return found[1]
