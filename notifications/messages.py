"""The words of each message, in the recipient's language, written when it is sent."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.models import Notification


def render(notification: Notification) -> tuple[str, str]:
    """Return the subject and the plain text of a message."""
    with translation.override(notification.language):
        match notification.kind:
            case Notification.Kind.DIGEST:
                return _digest(notification)
            case Notification.Kind.HELD:
                return _held(notification)
            case Notification.Kind.NO_COORDINATOR:
                return _("Nobody looks after some mentors"), _(
                    "A run of %(organisation)s concerned mentors without a coordinator, and the organisation has none."
                ) % {"organisation": notification.organisation.name}
            case Notification.Kind.LATE:
                return _("A night run is late"), _("Run %(run_id)s is not closed.") % {"run_id": notification.run_id}
            case Notification.Kind.FAILED:
                return _("A night run did not do everything"), _(
                    "Run %(run_id)s failed for %(failed)s items, or as a whole; the next run tries them again."
                ) % {"run_id": notification.run_id, "failed": notification.context["failed"]}
            case _:
                lines = [_sentence(notification, facts) for facts in notification.context["happenings"]]
                return _("About certifications of %(name)s") % {"name": _about(notification)}, "\n".join(lines)


def _about(notification: Notification) -> str:
    return notification.about.name if notification.about else ""


def _sentence(notification: Notification, facts: dict[str, Any]) -> str:
    names = {"name": _about(notification), "types": facts.get("types", "")}
    match facts["kind"]:
        case Notification.Kind.REMIND:
            expires_on = date_format(date.fromisoformat(facts["expires_on"]), "DATE_FORMAT")
            return _("%(name)s: %(types)s expires on %(expires_on)s.") % {**names, "expires_on": expires_on}
        case Notification.Kind.PAUSE if not facts.get("types"):
            return _("%(name)s is paused.") % names
        case Notification.Kind.PAUSE:
            return _("%(name)s is paused, because this has expired: %(types)s.") % names
        case _:
            return _("%(name)s is active again.") % names


def _digest(notification: Notification) -> tuple[str, str]:
    """List what stands in the coordinator's inbox from the run."""
    told = (
        Notification.objects.filter(
            run_id=notification.run_id,
            channel=Notification.Channel.INBOX,
            recipient_user=notification.recipient_user_id,
            about__isnull=False,
        )
        .select_related("about")
        .order_by("kind", "about__name", "pk")
    )
    lines = [_sentence(row, facts) for row in told for facts in row.context["happenings"]]
    subject = ngettext("The night: %(count)d thing to know", "The night: %(count)d things to know", len(lines))
    return subject % {"count": len(lines)}, "\n".join(lines)


def _held(notification: Notification) -> tuple[str, str]:
    facts = notification.context
    return _("A night run waits for you"), _(
        "The run would pause %(would_pause)s of %(active)s active mentors, more than the limit of %(limit)s. "
        "Nobody is paused until a person approves or rejects it."
    ) % facts
