"""A run in a few words: how it stands, what it did, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_stubs_ext import StrOrPromise

from cronjobs.models import Action, Run


@dataclass(frozen=True, kw_only=True)
class StatusBadge:
    """How something is shown: in words, with a sign, and in a colour that says the same."""

    tone: str  # good, busy, warn, bad or none
    icon: str
    words: StrOrPromise


@dataclass(frozen=True, kw_only=True)
class ActionCount:
    """Something that a run did, and where the items of it are listed."""

    tone: str
    words: str
    url: str


STATUSES = {
    Run.Status.PLANNED: ("busy", "schedule"),
    Run.Status.RUNNING: ("busy", "sync"),
    Run.Status.HELD: ("warn", "front_hand"),
    Run.Status.SUCCEEDED: ("good", "check_circle"),
    Run.Status.PARTIAL: ("warn", "error"),
    Run.Status.FAILED: ("bad", "cancel"),
    Run.Status.MISSED: ("bad", "event_busy"),
}
SWITCHED_OFF = StatusBadge(tone="none", icon="pause_circle", words=gettext_lazy("switched off"))
NO_RUN = StatusBadge(tone="none", icon="remove", words=gettext_lazy("no run"))


def badge_of(run: Run | None) -> StatusBadge:
    if run is None:
        return NO_RUN
    if run.was_switched_off:
        return SWITCHED_OFF
    tone, icon = STATUSES[Run.Status(run.status)]
    return StatusBadge(tone=tone, icon=icon, words=run.get_status_display())


def render_badge(badge: StatusBadge) -> SafeString:
    return format_html(
        '<span class="desk-sign desk-{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        badge.tone,
        badge.icon,
        badge.words,
    )


def url_of(run: Run, **params: str) -> str:
    address = reverse("admin:cronjobs_run_change", args=[run.pk])
    return f"{address}?{urlencode(params)}" if params else address


def action_counts(run: Run) -> list[ActionCount]:
    """Say what a run did, and what failed; of one that only looked or is held, what it would do."""
    did = "planned" if run.dry_run or run.status == Run.Status.HELD else "done"
    found = [
        ActionCount(tone="", words=_count(action, number, would=did == "planned"), url=url_of(run, action=action))
        for action in Action
        if (number := run.counts.get(action, {}).get(did, 0))
    ]
    failed = sum(count.get("failed", 0) for count in run.counts.values())
    if failed:
        words = ngettext("%(count)d failed", "%(count)d failed", failed) % {"count": failed}
        found.append(ActionCount(tone="bad", words=words, url=url_of(run, status="failed")))
    return found


def _count(action: Action, count: int, *, would: bool) -> str:
    match action, would:
        case Action.PAUSE, False:
            words = ngettext("%(count)d paused", "%(count)d paused", count)
        case Action.RESUME, False:
            words = ngettext("%(count)d resumed", "%(count)d resumed", count)
        case Action.REMIND, False:
            words = ngettext("%(count)d reminder", "%(count)d reminders", count)
        case Action.PAUSE, True:
            words = ngettext("%(count)d to pause", "%(count)d to pause", count)
        case Action.RESUME, True:
            words = ngettext("%(count)d to resume", "%(count)d to resume", count)
        case _:
            words = ngettext("%(count)d to remind", "%(count)d to remind", count)
    return words % {"count": count}


def describe_actions(run: Run) -> str:
    """Say it as one text; a closed run that had nothing to do says so."""
    said = ", ".join(action_count.words for action_count in action_counts(run))
    return said or ("–" if run.is_open or run.status == Run.Status.MISSED else _("nothing was due"))


def say_duration(run: Run) -> str:
    if run.started_at is None or run.finished_at is None:
        return "–"
    seconds = (run.finished_at - run.started_at).total_seconds()
    if seconds < 120:
        return _("%(seconds)s s") % {"seconds": number_format(seconds, 1)}
    return _("%(minutes)d min") % {"minutes": round(seconds / 60)}
