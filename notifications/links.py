"""The links that a message carries; without PUBLIC_URL there are none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from django.conf import settings
from django.urls import reverse

from mentors.accounts.invitations import InvitationTokens, find_invitation
from notifications.models import Answer, Notification
from notifications.signing import sign_id

ANSWER, PREFERENCE = "answer", "preference"  # what a token is for


@dataclass(frozen=True, kw_only=True)
class Links:
    """Addresses for the reader of one message; what does not apply is empty."""

    answer: str = ""  # to choose an answer there
    answers: dict[Answer.Choice, str] = field(default_factory=dict)  # to confirm one
    preference: str = ""  # to choose how to be told; also for List-Unsubscribe
    desk: str = ""
    access: str = ""  # to what lets in to one's own account
    password: str = ""  # to ask for a new password
    invitation: str = field(default="", repr=False)  # to accept it; made as the message leaves


def links_of(notification: Notification) -> Links:
    """Return what the reader of the message may follow: a reminded mentor to answer, a coordinator to the desk."""
    if not settings.PUBLIC_URL:
        return Links()
    desk = _absolute(reverse("admin:index"))
    if notification.kind == Notification.Kind.ACCOUNT:
        access, password = _absolute(reverse("own_access")), _absolute(reverse("admin_password_reset"))
        return Links(desk=desk, access=access, password=password)
    if user_id := notification.recipient_user_id:
        token = sign_id(user_id, purpose=PREFERENCE)
        return Links(desk=desk, preference=_absolute(reverse("preference", args=[token])))
    events = notification.context.get("events", ())
    if notification.recipient_mentor_id and any(facts["kind"] == Notification.Kind.REMIND for facts in events):
        token = sign_id(notification.pk, purpose=ANSWER)
        return Links(
            answer=_absolute(reverse("answer", args=[token])),
            answers={choice: _absolute(reverse("answer", args=[token, choice])) for choice in Answer.Choice},
        )
    return Links(desk="" if notification.recipient_mentor_id else desk)


def add_secret(links: Links, notification: Notification) -> Links:
    """Add what only the recipient may follow, as the message leaves: it stands nowhere, and nobody else sees it."""
    if notification.kind != Notification.Kind.INVITED or not links.desk:
        return links
    invitation = find_invitation(notification.context.get("invitation", 0))
    if invitation is None or invitation.user_id != notification.recipient_user_id:
        return links
    token = InvitationTokens(invitation).make_token(invitation.user)
    return replace(links, invitation=_absolute(reverse("invitation", args=[invitation.pk, token])))


def _absolute(path: str) -> str:
    return settings.PUBLIC_URL + path
