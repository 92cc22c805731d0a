"""The timeline of a mentor in sentences: what happened, to which end, and by which rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cronjobs import record_text
from cronjobs.models import Action, RunItem
from mentors.api.timeline import Kind, RecipientKind
from mentors.models import Mentor, Organisation
from notifications.channels import channel_choices
from notifications.models import Answer, Notification

Entry = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TimelineRow:
    """One entry as it is read."""

    at: datetime
    icon: str
    sentence: str
    because: str = ""  # a person's words, or an error
    rule: str = ""
    run: str = ""  # the address of the run's page


@dataclass(frozen=True, kw_only=True)
class TimelineRenderer:
    """Tells the entries of one mentor; `names` are those of the organisation's types, by code."""

    organisation: Organisation
    names: Mapping[str, str]
    channels: Mapping[str, str] = field(default_factory=lambda: {name: str(label) for name, label in channel_choices()})

    def render(self, entry: Entry) -> TimelineRow:
        tellers: dict[str, Callable[[Entry], dict[str, str]]] = {
            Kind.STATUS_CHANGE: self._status_change,
            Kind.ITEM: self._item,
            Kind.MESSAGE: self._message,
            Kind.ANSWER: self._answer,
        }
        run = reverse("admin:cronjobs_run_change", args=[entry["run"]]) if entry["run"] else ""
        return TimelineRow(at=entry["at"], run=run, **tellers[entry["kind"]](entry))

    def _status_change(self, entry: Entry) -> dict[str, str]:
        by_whom = {"actor": entry["actor"]} if entry["actor"] else {}
        match entry["to_status"], entry["cause"]:
            case Mentor.Status.PAUSED, Mentor.PauseCause.CERTIFICATION_EXPIRED:
                return {"icon": "pause_circle", "sentence": _("Paused: a required certification had lapsed.")}
            case Mentor.Status.PAUSED, Mentor.PauseCause.CERTIFICATION_REVOKED:
                said = _("Paused, because a certification was revoked by %(actor)s.") % {"actor": entry["actor"]}
                return {"icon": "pause_circle", "sentence": said, "because": entry["reason"]}
            case Mentor.Status.PAUSED, _cause:
                said = _("Paused by %(actor)s.") % by_whom if by_whom else _("Paused.")
                return {"icon": "pause_circle", "sentence": said, "because": entry["reason"]}
            case Mentor.Status.ENDED, _cause:
                said = _("Service ended by %(actor)s.") % by_whom if by_whom else _("Service ended.")
                return {"icon": "cancel", "sentence": said, "because": entry["reason"]}
        said = _("Resumed by %(actor)s.") % by_whom if by_whom else _("Resumed.")
        return {"icon": "play_circle", "sentence": said, "because": entry["reason"]}

    def _item(self, entry: Entry) -> dict[str, str]:
        is_reminder = entry["action"] == Action.REMIND
        sentence = self._reminder(entry) if is_reminder else self._planned_change(entry)
        because = entry["error"] or (entry["outcome"] if entry["outcome"] not in PLAIN_OUTCOMES else "")
        icon = {RunItem.Status.DONE: "task_alt", RunItem.Status.FAILED: "error"}.get(entry["status"], "block")
        return {"icon": icon, "sentence": sentence, "because": because, "rule": self._rule(entry)}

    def _reminder(self, entry: Entry) -> str:
        facts = {
            "certification": f"{self._named(entry['type'])} {entry['number']}".strip(),
            "day": _day(entry["expires_on"]),
        }
        sentences = {
            RunItem.Status.DONE: _("Reminded of %(certification)s, which expires on %(day)s."),
            RunItem.Status.SKIPPED: _("Not reminded of %(certification)s, which was to expire on %(day)s."),
            RunItem.Status.FAILED: _("The reminder of %(certification)s, which expires on %(day)s, failed."),
            RunItem.Status.PENDING: _("To be reminded of %(certification)s, which expires on %(day)s."),
        }
        return sentences[RunItem.Status(entry["status"])] % facts

    def _planned_change(self, entry: Entry) -> str:
        is_pause = entry["action"] == Action.PAUSE
        pauses = {
            RunItem.Status.DONE: _("The night paused: %(types)s had lapsed."),
            RunItem.Status.SKIPPED: _("The night did not pause after all."),
            RunItem.Status.FAILED: _("The night could not pause."),
            RunItem.Status.PENDING: _("The night is about to pause: %(types)s has lapsed."),
        }
        resumes = {
            RunItem.Status.DONE: _("The night resumed: nothing is lapsed any more."),
            RunItem.Status.SKIPPED: _("The night did not resume after all."),
            RunItem.Status.FAILED: _("The night could not resume."),
            RunItem.Status.PENDING: _("The night is about to resume."),
        }
        sentence = (pauses if is_pause else resumes)[RunItem.Status(entry["status"])]
        return sentence % {"types": self._named(entry["type"])} if is_pause else sentence

    def _rule(self, entry: Entry) -> str:
        rules = {
            "rule 4": _("Rule 4: an active mentor is paused when a required type has lapsed."),
            "rule 5": _("Rule 5: a mentor whom the night paused is resumed when nothing is lapsed any more."),
            "rule 6": self._rule_of_reminders(),
            "rule 8": _("Rule 8: all is checked again just before it is done; what is no longer true is left."),
        }
        return rules.get(entry["rule"], "")

    def _rule_of_reminders(self) -> str:
        days = sorted(self.organisation.reminder_days, reverse=True)
        if not days:
            return ""
        said = ngettext(
            "Rule 6: reminded %(days)s day before the expiry, once.",
            "Rule 6: reminded %(days)s days before the expiry, once each.",
            max(days) if len(days) == 1 else 2,
        )
        return said % {"days": get_text_list([str(day) for day in days], _("and"))}

    def _message(self, entry: Entry) -> dict[str, str]:
        to_whom = {
            RecipientKind.MENTOR: _("Message to the mentor, %(channel)s: %(about)s."),
            RecipientKind.COORDINATOR: _("Message to a coordinator, %(channel)s: %(about)s."),
            RecipientKind.OPERATIONS: _("Message to operations, %(channel)s: %(about)s."),
        }
        facts = {
            "channel": self.channels.get(entry["channel"], entry["channel"]),
            "about": Notification.Kind(entry["message"]).label,
        }
        sentence = f"{to_whom[entry['recipient']] % facts} {_fate(entry)}"
        arrived = entry["status"] in {Notification.Status.SENT, Notification.Status.SENDING, Notification.Status.QUEUED}
        return {"icon": "mail" if arrived else "unsubscribe", "sentence": sentence, "because": entry["error"]}

    def _answer(self, entry: Entry) -> dict[str, str]:
        said = _("The mentor answered: “%(answer)s”.") % {"answer": Answer.Choice(entry["answer"]).label}
        return {"icon": "reply", "sentence": said}

    def _named(self, codes: str) -> str:
        return get_text_list([self.names.get(code, code) for code in codes.split(",")], _("and"))


PLAIN_OUTCOMES = (record_text.REMINDED(), record_text.PAUSED(), record_text.RESUMED())  # the sentence says it already


def _fate(entry: Entry) -> str:
    if entry["status"] == Notification.Status.SENT and entry["sent_at"]:
        return _("Sent on %(time)s") % {"time": date_format(entry["sent_at"], "SHORT_DATETIME_FORMAT")}
    fates = {
        Notification.Status.SENT: _("Sent."),
        Notification.Status.QUEUED: _("Waits to be sent."),
        Notification.Status.SENDING: _("Is being sent."),
        Notification.Status.FAILED: _("Not delivered."),
        Notification.Status.CANCELLED: _("Not sent."),
        Notification.Status.UNCERTAIN: _("Perhaps received: it was handed over, and no answer came."),
    }
    return fates[Notification.Status(entry["status"])]


def _day(day: date | None) -> str:
    return date_format(day, "SHORT_DATE_FORMAT") if day else "–"
