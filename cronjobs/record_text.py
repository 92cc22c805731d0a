"""What the record of the nights says, phrase by phrase."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from mentors.record_text import Phrase

# A run.
ITEMS_FAILED = Phrase(
    "items_failed",
    ngettext_lazy(
        "1 item failed; the next run tries it again.",
        "%(count)s items failed; the next run tries them again.",
        "count",
    ),
)
REJECTED = Phrase("rejected", _("Rejected by %(by)s: %(said)s"))
UNBALANCED = Phrase("unbalanced", _("The books do not balance: %(planned)s planned to %(action)s, but %(counted)s."))
TAKEN_OVER = Phrase("taken_over", _("Held, then taken over by run %(run)s."))
NOT_CLAIMED = Phrase("not_claimed", _("No run was claimed for this slot while it could still be made up."))
SWITCHED_OFF = Phrase("switched_off", _("The job was switched off."))

# What became of an item.
PAUSED = Phrase("paused", _("paused"))
RESUMED = Phrase("resumed", _("resumed"))
REMINDED = Phrase("reminded", _("reminded"))
ANSWERED = Phrase("answered", _("Only the coordinators were reminded: the mentor has answered."))
NOBODY_TO_TELL = Phrase(
    "nobody_to_tell", _("Nobody could be reminded: the mentor has no address, and nobody looks after the chapter.")
)
NOT_TOLD = Phrase(
    "not_told", _("Not reminded after all: the message did not arrive, or it was no longer true when it was to leave.")
)
NO_PAUSING = Phrase("no_pausing", _("Automatic pausing was switched off."))
NO_RESUMING = Phrase("no_resuming", _("Automatic resuming was switched off."))
PAUSED_ALREADY = Phrase("paused_already", _("The mentor was paused already."))
ENDED_ALREADY = Phrase("ended_already", _("The mentor had ended already."))
IS_ACTIVE = Phrase("is_active", _("The mentor was active already."))
IS_ENDED = Phrase("is_ended", _("The mentor had ended."))
PAUSED_BY_HAND = Phrase("paused_by_hand", _("A person had paused the mentor."))
PAUSED_FOR_REVOCATION = Phrase("paused_for_revocation", _("The mentor was paused because a certification was revoked."))
RENEWED = Phrase("renewed", _("Renewed or exempted in between: no lapsed type is left."))
LAPSED_AGAIN = Phrase("lapsed_again", _("Lapsed again in between."))
NOT_LAPSED_TODAY = Phrase(
    "not_lapsed_today", _("Worked on late, on %(today)s: no type has lapsed both on the run's day and on that day.")
)
LAPSED_TODAY = Phrase(
    "lapsed_today", _("Worked on late, on %(today)s: a type has lapsed on the run's day or on that day.")
)
EXPIRED_BY_TODAY = Phrase("expired_by_today", _("Worked on late, on %(today)s: it has expired."))
CHANGED = Phrase("changed", _("Renewed, changed or revoked in between, or a later reminder is due by now."))
WOULD_PAUSE = Phrase("would_pause", _("Would be paused: these types have lapsed (rule 4)."))
WOULD_RESUME = Phrase("would_resume", _("Would be resumed: no lapsed type is left (rule 5)."))
WOULD_REMIND = Phrase("would_remind", _("Would be reminded: it expires within the stage (rule 6)."))
TRIED_TOGETHER = Phrase("tried_together", _("Tried together with others, and no worker has come back yet."))
GIVEN_UP = Phrase("given_up", _("Given up: no worker came back from it."))

# How a night differs from what was expected of it.
REPAIRED = Phrase(
    "repaired",
    ngettext_lazy(
        "The day on which %(count)s mentor lapses was stored wrongly, and was mended before the night: "
        "somebody or something has written past the rules",
        "The day on which %(count)s mentors lapse was stored wrongly, and was mended before the night: "
        "somebody or something has written past the rules",
        "count",
    ),
)
PAUSES_EXPECTED = Phrase(
    "pauses_expected",
    ngettext_lazy(
        "%(planned)s pause where %(expected)s were expected",
        "%(planned)s pauses where %(expected)s were expected",
        "planned",
    ),
)
RESUMES_EXPECTED = Phrase(
    "resumes_expected",
    ngettext_lazy(
        "%(planned)s resume where %(expected)s were expected",
        "%(planned)s resumes where %(expected)s were expected",
        "planned",
    ),
)
REMINDERS_EXPECTED = Phrase(
    "reminders_expected",
    ngettext_lazy(
        "%(planned)s reminder where %(expected)s were expected",
        "%(planned)s reminders where %(expected)s were expected",
        "planned",
    ),
)

# Why a slot has no run of its own, or a run took long.
BEAT_SILENT = Phrase("beat_silent", _("Beat was silent from %(since)s to %(until)s."))
BEAT_STILL_SILENT = Phrase("beat_still_silent", _("Beat was silent from %(since)s until this was written."))
BEAT_NEVER_HEARD = Phrase("beat_never_heard", _("Beat has never been heard of."))
BROKER_SILENT = Phrase("broker_silent", _("The broker took nothing from beat from %(since)s to %(until)s."))
BROKER_STILL_SILENT = Phrase(
    "broker_still_silent", _("The broker took nothing from beat from %(since)s until this was written.")
)
BROKER_NEVER_HEARD = Phrase("broker_never_heard", _("The broker has never taken anything from beat."))
WORKERS_SILENT = Phrase("workers_silent", _("No worker began a sweep or a slot from %(since)s to %(until)s."))
WORKERS_STILL_SILENT = Phrase(
    "workers_still_silent", _("No worker began a sweep or a slot from %(since)s until this was written.")
)
WORKERS_NEVER_HEARD = Phrase("workers_never_heard", _("No worker has ever been heard of."))
DATABASE_AWAY = Phrase("database_away", _("The database was away, or the whole machine, from %(since)s to %(until)s."))
DATABASE_STILL_AWAY = Phrase(
    "database_still_away", _("The database was away, or the whole machine, from %(since)s until this was written.")
)
DATABASE_STARTED = Phrase("database_started", _("The database was started at %(at)s."))
HELD_UP = Phrase("held_up", _("It was held up."))
IN_THE_WAY = Phrase("in_the_way", _("Run %(run)s was in the way: it was open from %(since)s to %(until)s."))
STILL_IN_THE_WAY = Phrase(
    "still_in_the_way", _("Run %(run)s was in the way: it was open from %(since)s until this was written.")
)
PAUSED_JOB_BY_AT = Phrase("paused_job_by_at", _("Switched off by %(by)s on %(at)s: %(said)s"))
PAUSED_JOB_BY = Phrase("paused_job_by", _("Switched off by %(by)s: %(said)s"))
PAUSED_JOB_AT = Phrase("paused_job_at", _("Switched off on %(at)s: %(said)s"))
PAUSED_JOB = Phrase("paused_job", _("Switched off: %(said)s"))
SCHEDULE_CHANGED = Phrase("schedule_changed", _("Then somebody changed the schedule."))
SCHEDULE_CHANGED_BY = Phrase("schedule_changed_by", _("Then %(by)s changed the schedule."))
CAUSE_NOT_FOUND = Phrase(
    "cause_not_found",
    _(
        "The cause was not found: beat, the broker and the workers were all heard of, so the slot was lost on the way "
        "from beat to a worker, or failed there."
    ),
)

# How beat's entry differs from the job.
DRIFTED = Phrase("drifted", _("Beat has another schedule than the job."))
NO_ENTRY = Phrase("no_entry", _("Beat has no entry for the job."))
ENTRY_OFF = Phrase("entry_off", _("The job is on, beat's entry is off."))
ENTRY_ON = Phrase("entry_on", _("The job is off, beat's entry is on."))
OTHER_VALUE = Phrase("other_value", _("Beat's entry has %(field)s %(value)s, not %(wanted)s."))
NO_KIND = Phrase("no_kind", _("Beat's entry has no schedule instead of a crontab."))
OTHER_KIND = Phrase("other_kind", _("Beat's entry has %(kind)s schedule instead of a crontab."))
OTHER_TIMES = Phrase("other_times", _("Beat fires it at “%(entry)s”, the job says “%(job)s”."))
OTHER_ZONE = Phrase("other_zone", _("Beat's times are of %(entry)s, the job's of %(job)s."))

# What a change of the clocks does to a schedule.
TIME_SKIPPED = Phrase(
    "time_skipped",
    _("%(time)s does not exist on %(day)s in %(zone)s, where the clocks go forward: the job runs once, at %(moved)s."),
)
TIME_REPEATED = Phrase(
    "time_repeated",
    _("%(time)s comes twice on %(day)s in %(zone)s, where the clocks go back: the job runs once, the first time."),
)

# Why a night is not in order.
UNREADABLE = Phrase("unreadable", _("Its cron expression cannot be read."))
ZONE_GONE = Phrase("zone_gone", _("There is no time zone “%(zone)s” any more."))
NOBODY_RAN = Phrase("nobody_ran", _("Nobody ran it."))
STILL_OPEN = Phrase("still_open", _("Its run is still %(status)s."))
NOT_GREEN = Phrase("not_green", _("Its run is %(status)s."))
CLOSED_LATE = Phrase("closed_late", _("It was closed late."))
FAILED_ITEMS = Phrase("failed_items", ngettext_lazy("%(count)s item failed.", "%(count)s items failed.", "count"))

# The titles of incidents.
NIGHT_NOT_FINISHED = Phrase("night_not_finished", _("Night not finished: %(job)s, %(slot)s"))
NIGHT_HELD = Phrase("night_held", _("Night waits for a person: %(job)s, %(slot)s"))
NIGHT_LATE = Phrase("night_late", _("Night was late: %(job)s, %(slot)s"))
NIGHT_PARTIAL = Phrase("night_partial", _("Night done in part: %(job)s, %(slot)s"))
NIGHT_FAILED = Phrase("night_failed", _("Night failed: %(job)s, %(slot)s"))
NIGHT_NOT_RUN = Phrase("night_not_run", _("Night not run: %(job)s, %(slot)s"))
SCHEDULE_UNREADABLE = Phrase("schedule_unreadable", _("Schedule cannot be read: %(job)s"))
NOT_LOOKED_AT = Phrase("not_looked_at", _("It cannot be looked at: %(key)s"))
SWEEP_FAILS = Phrase("sweep_fails", _("The sweep fails: %(step)s"))
NO_SCHEDULE = Phrase("no_schedule", _("No schedule: %(organisation)s"))
RUN_NOT_CONCLUDED = Phrase("run_not_concluded", _("Run not concluded: %(organisation)s, %(day)s"))
ORGANISATION_ZONE_GONE = Phrase("organisation_zone_gone", _("Time zone unknown: %(organisation)s"))
RUN_NOT_FINISHED = Phrase("run_not_finished", _("Run not finished: %(organisation)s, begun %(begun)s"))
COMPONENT_SILENT = Phrase("component_silent", _("A component is silent: %(component)s"))
MESSAGES_WAIT = Phrase("messages_wait", _("Messages do not leave"))
MESSAGES_REFUSED = Phrase("messages_refused", _("Messages are refused"))
NIGHT_DEVIATES = Phrase("night_deviates", _("A night differs from what was expected: %(organisation)s, %(day)s"))
BEAT_DIFFERS = Phrase("beat_differs", _("Beat has another schedule: %(job)s"))
CLOCK_AHEAD = Phrase("clock_ahead", _("A clock was ahead"))
RECORDS_DISAGREE = Phrase("records_disagree", _("Records do not agree: %(organisation)s"))
WEB_SILENT = Phrase("web_silent", _("The web server does not answer"))
ALERT_TEST = Phrase("alert_test", _("Test of the alarm"))

# What is known of an incident besides.
RUN = Phrase("run", _("Run %(run)s."))
BROKEN = Phrase("broken", _("It ended with an error: %(error)s."))
NOT_WATCHED = Phrase("not_watched", _("It has active mentors, and no schedule that is switched on."))
CLOSED_BUT_NOT_CONCLUDED = Phrase(
    "closed_but_not_concluded", _("It was closed at %(at)s, and is neither sealed nor told of since.")
)
WRITTEN_AHEAD = Phrase("written_ahead", _("Times that lie ahead of now were written, of these: %(what)s."))
LAST_HEARD = Phrase("last_heard", _("It was last heard of at %(at)s."))
OLDEST_WAITS = Phrase("oldest_waits", _("The oldest should have left at %(at)s."))
GIVEN_UP_OF = Phrase(
    "given_up_of",
    _("%(count)s of %(total)s messages of the last days were given up. Each has its reason."),
)
VERIFY_FOUND = Phrase("verify_found", _("verify_records found %(count)s, and prints them."))
WEB_NO_ANSWER = Phrase("web_no_answer", _("Asked as WATCHDOG_WEB_URL says, it does not answer."))
WEB_ANSWERS = Phrase("web_answers", _("Asked as WATCHDOG_WEB_URL says, it answers %(status)s."))
NOTHING_WRONG = Phrase("nothing_wrong", _("Nothing is wrong."))
LIKELY_CAUSE = Phrase("likely_cause", _("Likely cause: %(cause)s"))
