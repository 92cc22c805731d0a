"""What the record of the nights says, phrase by phrase, and reading it, with that of the floors below."""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from certifications.record_text import PHRASES as OF_CERTIFICATIONS
from mentors import record_text
from mentors.record_text import Phrase
from notifications.record_text import PHRASES as OF_MESSAGES

# A run.
ITEM_FAILED = Phrase(_("1 item failed; the next run tries it again."))
ITEMS_FAILED = Phrase(_("%(count)s items failed; the next run tries them again."))
REJECTED = Phrase(_("Rejected by %(by)s: %(said)s"))
TAKEN_OVER = Phrase(_("Held, then taken over by run %(run)s."))
NOT_CLAIMED = Phrase(_("No run was claimed for this slot while it could still be made up."))
SWITCHED_OFF = Phrase(_("The job was switched off."))

# What became of an item.
PAUSED = Phrase(_("paused"))
RESUMED = Phrase(_("resumed"))
REMINDED = Phrase(_("reminded"))
ANSWERED = Phrase(
    "reminded the coordinators only: the mentor has answered",
    _("Only the coordinators were reminded: the mentor has answered."),
)
NO_PAUSING = Phrase("automatic pausing was switched off", _("Automatic pausing was switched off."))
NO_RESUMING = Phrase("automatic resuming was switched off", _("Automatic resuming was switched off."))
PAUSED_ALREADY = Phrase("the mentor is paused already", _("The mentor was paused already."))
ENDED_ALREADY = Phrase("the mentor is ended already", _("The mentor had ended already."))
IS_ACTIVE = Phrase("the mentor is active", _("The mentor was active already."))
IS_ENDED = Phrase("the mentor is ended", _("The mentor had ended."))
PAUSED_BY_HAND = Phrase("the mentor is paused (manual)", _("A person had paused the mentor."))
PAUSED_FOR_REVOCATION = Phrase(
    "the mentor is paused (certification_revoked)", _("The mentor was paused because a certification was revoked.")
)
RENEWED = Phrase(
    "renewed or exempted in between: no lapsed type is left",
    _("Renewed or exempted in between: no lapsed type is left."),
)
LAPSED_AGAIN = Phrase("lapsed again in between", _("Lapsed again in between."))
CHANGED = Phrase("renewed, changed or revoked in between", _("Renewed, changed or revoked in between."))
WOULD_PAUSE = Phrase(
    "would be paused: these types have lapsed (rule 4)", _("Would be paused: these types have lapsed (rule 4).")
)
WOULD_RESUME = Phrase(
    "would be resumed: no lapsed type is left (rule 5)", _("Would be resumed: no lapsed type is left (rule 5).")
)
WOULD_REMIND = Phrase(
    "would be reminded: it expires within the stage (rule 6)",
    _("Would be reminded: it expires within the stage (rule 6)."),
)
GIVEN_UP = Phrase(_("Given up: no worker came back from it."))

# How a night differs from what was expected of it.
PAUSE_EXPECTED = Phrase(_("%(planned)s pause where %(expected)s were expected"))
PAUSES_EXPECTED = Phrase(_("%(planned)s pauses where %(expected)s were expected"))
RESUME_EXPECTED = Phrase(_("%(planned)s resume where %(expected)s were expected"))
RESUMES_EXPECTED = Phrase(_("%(planned)s resumes where %(expected)s were expected"))
REMINDER_EXPECTED = Phrase(_("%(planned)s reminder where %(expected)s were expected"))
REMINDERS_EXPECTED = Phrase(_("%(planned)s reminders where %(expected)s were expected"))

# Why a slot has no run of its own, or a run took long.
BEAT_SILENT = Phrase(_("Beat was silent from %(since)s to %(until)s."))
BEAT_STILL_SILENT = Phrase(_("Beat was silent from %(since)s until this was written."))
BEAT_NEVER_HEARD = Phrase(_("Beat has never been heard of."))
BROKER_SILENT = Phrase(_("The broker took nothing from beat from %(since)s to %(until)s."))
BROKER_STILL_SILENT = Phrase(_("The broker took nothing from beat from %(since)s until this was written."))
BROKER_NEVER_HEARD = Phrase(_("The broker has never taken anything from beat."))
WORKERS_SILENT = Phrase(_("No worker did anything from %(since)s to %(until)s."))
WORKERS_STILL_SILENT = Phrase(_("No worker did anything from %(since)s until this was written."))
WORKERS_NEVER_HEARD = Phrase(_("No worker has ever been heard of."))
DATABASE_AWAY = Phrase(_("The database was away, or the whole machine, from %(since)s to %(until)s."))
DATABASE_STILL_AWAY = Phrase(_("The database was away, or the whole machine, from %(since)s until this was written."))
DATABASE_STARTED = Phrase(_("The database was started at %(at)s."))
HELD_UP = Phrase(_("It was held up."))
IN_THE_WAY = Phrase(_("Run %(run)s was in the way: it was open from %(since)s to %(until)s."))
STILL_IN_THE_WAY = Phrase(_("Run %(run)s was in the way: it was open from %(since)s until this was written."))
PAUSED_JOB_BY_AT = Phrase(_("Switched off by %(by)s on %(at)s: %(said)s"))
PAUSED_JOB_BY = Phrase(_("Switched off by %(by)s: %(said)s"))
PAUSED_JOB_AT = Phrase(_("Switched off on %(at)s: %(said)s"))
PAUSED_JOB = Phrase(_("Switched off: %(said)s"))
SCHEDULE_CHANGED = Phrase(_("Then somebody changed the schedule."))
SCHEDULE_CHANGED_BY = Phrase(_("Then %(by)s changed the schedule."))
CAUSE_NOT_FOUND = Phrase(
    _(
        "The cause was not found: beat, the broker and the workers were all heard of, so the slot was lost on the way "
        "from beat to a worker, or failed there."
    )
)

# How beat's entry differs from the job.
DRIFTED = Phrase(_("Beat has another schedule than the job."))
NO_ENTRY = Phrase(_("Beat has no entry for the job."))
ENTRY_OFF = Phrase(_("The job is on, beat's entry is off."))
ENTRY_ON = Phrase(_("The job is off, beat's entry is on."))
OTHER_VALUE = Phrase(_("Beat's entry has %(field)s %(value)s, not %(wanted)s."))
NO_KIND = Phrase(_("Beat's entry has no schedule instead of a crontab."))
OTHER_KIND = Phrase(_("Beat's entry has %(kind)s schedule instead of a crontab."))
OTHER_TIMES = Phrase(_("Beat fires it at “%(entry)s”, the job says “%(job)s”."))
OTHER_ZONE = Phrase(_("Beat's times are of %(entry)s, the job's of %(job)s."))

# What a change of the clocks does to a schedule.
TIME_SKIPPED = Phrase(
    _("%(time)s does not exist on %(day)s in %(zone)s, where the clocks go forward: the job runs once, at %(moved)s.")
)
TIME_REPEATED = Phrase(
    _("%(time)s comes twice on %(day)s in %(zone)s, where the clocks go back: the job runs once, the first time.")
)

PHRASES = [*OF_CERTIFICATIONS, *OF_MESSAGES, *(value for value in list(vars().values()) if isinstance(value, Phrase))]


def read(text: str) -> str:
    """Return what the record says in the reader's language, as far as its phrases are known."""
    return record_text.read(text, PHRASES)
