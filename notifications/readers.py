"""Who may know what now: a message says to its reader only what the roles of today reach (rule 8: sent, and read)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mentors.accounts.scope import Permission, Scope
from mentors.models import Invitation
from mentors.record_text import RecordText
from notifications import record_text
from notifications.messages.context import Message
from notifications.models import Notification


def leave_out_unseen(
    messages: Sequence[Message], *, scopes: Mapping[int, Scope] | None = None
) -> dict[int, RecordText]:
    """Take out of messages to users what they may not know any more; `scopes`, by user, are read unless given.

    What is about an account is its owner's to know, whatever roles are left.

    Return why nothing is left, by the notification's id, for those of which nothing is.
    """
    about_mentors = (message for message in messages if message.notification.kind != Notification.Kind.ACCOUNT)
    to_users = [message for message in about_mentors if message.notification.recipient_user_id]
    if scopes is None:
        scopes = Scope.of_all({message.notification.recipient_user_id or 0 for message in to_users})
    invited = _find_invited(to_users)
    reasons = {}
    for message in to_users:
        if (message.notification.recipient_user_id, message.notification.context.get("invitation")) in invited:
            continue  # whose invitation it is reads it, without a role yet
        scope = scopes.get(message.notification.recipient_user_id or 0)
        if scope is None:
            message.not_for_reader, message.events = message.events, []
            reasons[message.notification.pk] = record_text.NOT_ACTIVE()
        elif not _leave_out(message, scope):
            reasons[message.notification.pk] = record_text.NO_ROLE()
    return reasons


def _find_invited(messages: Sequence[Message]) -> set[tuple[int, int]]:
    """Return the invitations among the messages that are open still: whose, and which."""
    ids = [message.notification.context.get("invitation") for message in messages]
    if not any(ids):
        return set()
    return set(Invitation.objects.filter(pk__in=filter(None, ids), user__is_active=True).values_list("user_id", "pk"))


def _leave_out(message: Message, scope: Scope) -> bool:
    """Take out what the scope does not reach; return whether the reader may know what is left."""
    row = message.notification
    if not message.tells_of_mentors:
        # An invitation is for any role in the organisation, all else is news of the organisation as a whole.
        permission = Permission.SEE if row.kind == Notification.Kind.INVITED else Permission.LEAD
        return scope.may(permission, organisation_id=row.organisation_id)
    told = message.events
    message.events, message.not_for_reader = [], []
    for event in told:
        mentor = event.mentor
        may = scope.may(Permission.COORDINATE, organisation_id=mentor.organisation_id, chapter_id=mentor.chapter_id)
        (message.events if may else message.not_for_reader).append(event)
    return bool(message.events) or not told
