"""What operations and organisation-wide coordinators are told: of runs, of gaps, of what does not answer."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.messages.context import Message
from notifications.messages.fragments import Draft, clean, organisation_of, paragraphs, to_the_desk


def held(message: Message) -> Draft:
    """Ask for a person: the brake holds a run (docs/rules.md, brake)."""
    facts = message.notification.context
    why = ""
    if "would_pause" in facts:
        why = ngettext(
            "The run would pause %(would_pause)d of %(active)d active mentors, and the limit is %(limit)d.",
            "The run would pause %(would_pause)d of %(active)d active mentors, and the limit is %(limit)d.",
            facts["would_pause"],
        ) % {name: facts.get(name, 0) for name in ("would_pause", "active", "limit")}
    nobody = _("Nobody is paused until a person approves or rejects the run.")
    return _draft(
        message,
        _("A night run waits for you"),
        _("A night run of %(organisation)s is held, because it would pause unusually many mentors.")
        % {"organisation": organisation_of(message)},
        why,
        nobody,
        _("Meanwhile the public pages show only mentors whose certifications are valid."),
        _run(message),
        gist=f"{why} {nobody}".strip(),
    )


def no_coordinator(message: Message) -> Draft:
    return _draft(
        message,
        _("Nobody looks after some mentors"),
        _("There is news of mentors in %(organisation)s whose chapter has no coordinator.")
        % {"organisation": organisation_of(message)},
        _("There is none for the whole organisation either, so nobody was told."),
        _("Appoint a coordinator for each chapter, or one for the whole organisation."),
        _run(message),
    )


def late(message: Message) -> Draft:
    return _draft(
        message,
        _("A night run is late"),
        _("A night run of %(organisation)s should have been finished by now.")
        % {"organisation": organisation_of(message)},
        _("Look whether the workers and the database are up; when they are, the run goes on by itself."),
        _run(message),
    )


def failed(message: Message) -> Draft:
    count = message.notification.context.get("failed") or 0
    what = ngettext("%(count)d item failed.", "%(count)d items failed.", count) % {"count": count} if count else ""
    return _draft(
        message,
        _("A night run did not do everything"),
        _("A night run of %(organisation)s has failed, in whole or in part.")
        % {"organisation": organisation_of(message)},
        what,
        _("The next run tries again. What failed, and why, stands with the run in Nattevakt."),
        _run(message),
    )


def app_gone(message: Message) -> Draft:
    host = clean(message.notification.context.get("host") or "")
    return _draft(
        message,
        _("The app of %(organisation)s takes no messages any more") % {"organisation": organisation_of(message)},
        _("%(host)s answers that there is nobody to take messages any more, so none are sent there.") % {"host": host}
        if host
        else _("The app answers that there is nobody to take messages any more, so none are sent there."),
        _("Ask those who run the app for its new address, and correct it in Nattevakt."),
    )


def _draft(message: Message, subject: str, *texts: str, gist: str = "") -> Draft:
    return Draft(subject=subject, gist=gist or f"{subject}.", blocks=(*paragraphs(*texts), *to_the_desk(message)))


def _run(message: Message) -> str:
    run_id = message.notification.run_id
    return _("Run: %(run_id)s") % {"run_id": run_id} if run_id else ""
