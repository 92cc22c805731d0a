"""Do the simulator and the tests have teeth? Faults are put back, one at a time, and each must be found.

    python -m tests.acceptance.simulator.mutants [--only WORD …] [--histories 500] [--seed 14] [--simulator] [--why]

Each mutant replaces text in one file of the product, or in several, in a temporary copy of the tree. Its named test, if
there is one, is played first; the simulator is asked when that did not find it, or with `--simulator` at once. A patch
that no longer fits, or a named test that is not there, ends the script before it begins. Prints a table, and ends with
1 if a fault was not found. `EXCEPT=…` passes over laws, as for the simulator (judge.py).

To add one: copy the lines that are in the way of the fault into `before`, exactly as they stand and so many of them
that they stand there once; write into `after` what stood there when the fault was there. With `--why` you see what the
named test complained of: whether it was the fault.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from config.embedded import development_environment

PROJECT = Path(__file__).resolve().parents[3]
SIMULATOR = "tests/acceptance/simulator/test_histories.py::test_no_history_breaks_a_law"
FOUND = re.compile(r"SEED=\d+, after (\d+) histories: ([^:\n]+):")
# As pytest sums it up. A test that could not begin, an ERROR, has found nothing.
FAILED = re.compile(r"^FAILED .*", re.MULTILINE)
LAST_LINE = re.compile(r".+\s*\Z")


@dataclass(frozen=True, kw_only=True)
class Place:
    """What stands in a file of the product, and what stood there when the fault was there."""

    file: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Mutant(Place):
    """A fault, and what finds it. One of those that were proved on the running code begins with its number."""

    fault: str
    test: str = ""  # a pytest node id that finds it
    also: tuple[Place, ...] = ()  # of a fault that was in more than one place

    @property
    def places(self) -> tuple[Place, ...]:
        return self, *self.also


# Faults that were proved on the running code and are mended, in the order of their list.
MENDED = [
    Mutant(
        fault="1: `lapses_on` is derived without a lock on what it derives from",
        file="certifications/lapses_on.py",
        before="        cursor.execute(LOCK_ORGANISATIONS.format(organisations), params)\n",
        after="        pass\n",
        also=(
            Place(
                file="certifications/migrations/0002_lapses_on_under_lock.sql",
                before="""    PERFORM 1 FROM mentors_organisation
    WHERE id IN (SELECT organisation_id FROM mentors_mentor WHERE id = ANY (mentor_ids)) ORDER BY id FOR SHARE;
""",
                after="",
            ),
        ),
        test="tests/certifications/rules/test_lapses_on.py"
        "::test_a_certification_recorded_while_what_it_depends_on_is_saved_is_not_missed",
    ),
    Mutant(
        fault="1: a stale `lapses_on` is not repaired before the plan",
        file="cronjobs/nightly.py",
        before="    run.repaired = repair_lapses_on(run.organisation)  # before the finders believe it\n",
        after="",
        test="tests/certifications/rules/test_lapses_on.py::test_a_wrong_one_is_mended_by_the_next_night_which_says_so",
    ),
    Mutant(
        fault="2: late work is judged by the run's day alone",
        file="certifications/expiry.py",
        before="    return [on] if on in (today, organisation.local_date(now + CLOCKS_DIFFER)) else [on, today]",
        after="    return [on]",
        test="tests/cronjobs/test_night_work.py::test_late_work_pauses_nobody_who_is_certified_today",
    ),
    Mutant(
        fault="3: a message is sent to who had the role when it was written",
        file="notifications/delivery.py",
        before="outdated = self.recheck_messages(messages) | leave_out_unseen(messages)",
        after="outdated = self.recheck_messages(messages)",
        test="tests/notifications/rules/test_authority.py"
        "::TestSent::test_a_coordinator_whose_role_has_ended_gets_no_digest",
    ),
    Mutant(
        fault="3: an inbox shows what its reader might know when it was written",
        file="notifications/models.py",
        before="return self.filter(recipient_user=user, channel=INBOX).seen_by(scope)",
        after="return self.filter(recipient_user=user, channel=INBOX)",
        test="tests/notifications/rules/test_authority.py"
        "::TestRead::test_the_inbox_of_who_has_left_is_empty_and_counts_nothing",
    ),
    Mutant(
        fault="4: runs are pruned by their business date",
        file="cronjobs/records/retention.py",
        before="Q(concluded_at__isnull=False) | Q(dry_run=True), *nothing_later, finished_at__isnull=False",
        after="Q(concluded_at__isnull=False) | Q(dry_run=True), business_date__lt=first_day_kept(now=now), "
        "finished_at__isnull=False",
        test="tests/cronjobs/records/test_retention.py::test_a_run_of_today_for_a_day_of_long_ago_stays_with_its_undo",
    ),
    Mutant(
        fault="5: a host's rate that was reserved by a clock ahead is believed",
        file="notifications/rates.py",
        before="first = max(budget.free_at, now) if is_believed else now",
        after="first = max(budget.free_at, now)",
        test="tests/cronjobs/test_clock.py::test_a_hosts_rate_is_reserved_from_now",
    ),
    Mutant(
        fault="5: a slot that a clock ahead has run is believed to be the last that has come",
        file="cronjobs/schedules/missed_slots.py",
        before="come = Run.objects.filter(cron_job=job, scheduled_for__lte=until)"
        ".exclude(missed_by_a_wrong_clock(now=until))",
        after="come = Run.objects.filter(cron_job=job)",
        test="tests/cronjobs/test_clock.py::test_a_night_is_made_up_though_a_later_slot_has_its_run",
    ),
    Mutant(
        fault="5: beat waits for a `last_run_at` that a clock ahead has written",
        file="cronjobs/schedules/beat.py",
        before="    Entry = NightEntry\n",
        after="    Entry = ModelEntry\n",
        test="tests/cronjobs/schedules/test_beat.py"
        "::test_a_clock_that_was_ahead_holds_up_neither_the_sweep_nor_the_night",
    ),
    Mutant(
        fault="5: what a clock ahead has written is not set right, and mail waits for it",
        file="cronjobs/monitoring/incidents.py",
        before="    clock.mend(now=now)\n",
        after="",
        test="tests/cronjobs/test_clock.py::test_messages_leave_at_once_and_what_rightly_waits_goes_on_waiting",
    ),
    Mutant(
        fault="6: one job's time zone that tzdata lost stops the watch for all",
        file="cronjobs/monitoring/problems.py",
        before="    except Exception as error:  # any other value past the checks\n",
        after="    except ValidationError as error:\n",
        test="tests/cronjobs/monitoring/test_isolation.py"
        "::test_a_job_that_cannot_be_judged_is_a_problem_and_the_others_are_judged",
    ),
    Mutant(
        fault="6: a schedule may have a patience that nobody can reckon with",
        file="cronjobs/models/jobs.py",
        before="default=60, validators=[MaxValueValidator(LONGEST_PATIENCE_MINUTES)]",
        after="default=60",
        also=(
            Place(
                file="cronjobs/migrations/0009_bound_patience.py",
                before='condition=models.Q(("alert_after_minutes__lte", 10080))',
                after='condition=models.Q(("alert_after_minutes__gte", 0))',
            ),
        ),
        test="tests/cronjobs/schedules/test_jobs.py::test_a_refused_value_is_named_and_nothing_is_stored",
    ),
    Mutant(
        fault="7: whatever a mail server refuses is refused for good",
        file="notifications/channels/email.py",
        before="""    if not verdict.for_good:
        return TryLater(record_text.MAIL_SERVER_SAID(answer=answer), fault=verdict.fault)
""",
        after="",
        test="tests/notifications/delivery/test_whose_fault.py"
        "::TestLater::test_what_is_ours_to_mend_is_tried_later_and_marks_nobody",
    ),
    Mutant(
        fault="7: whatever an app refuses is refused for good",
        file="notifications/channels/webhook.py",
        before="    raise TryLater(reason, fault=Fault.OURSELVES)\n",
        after="    raise Refused(reason)\n",
        test="tests/notifications/webhooks/test_sending.py"
        "::TestAnswer::test_a_refusal_is_between_the_app_and_us_and_may_pass",
    ),
    Mutant(
        fault="7: what is given up on one channel goes by no other",
        file="notifications/delivery.py",
        before="or not (channel := next_channel(recipient, tried=tried)):",
        after='or not (channel := ""):',
        test="tests/notifications/delivery/test_whose_fault.py"
        "::TestAnotherWay::test_a_mail_that_was_given_up_goes_by_sms",
    ),
    Mutant(
        fault="7: nobody is told that messages are refused",
        file="cronjobs/monitoring/problems.py",
        before="        *_ask(Kind.DELIVERY, lambda: _refusals(now=now), now=now),\n",
        after="",
        test="tests/notifications/delivery/test_whose_fault.py"
        "::TestIncident::test_a_night_that_nobody_heard_of_is_a_problem",
    ),
    Mutant(
        fault="8: a reminder that was cancelled before it left keeps its key",
        file="cronjobs/release.py",
        before="    for run_id, item_ids in found:\n",
        after="    for run_id, item_ids in found[:0]:\n",
        test="tests/cronjobs/test_release.py"
        "::TestCancelled::test_a_reminder_that_was_cancelled_is_sent_when_it_is_true_again",
    ),
    Mutant(
        fault="8: a reminder that has nobody to tell is done",
        file="cronjobs/work.py",
        before="""        if item.action == Action.REMIND and item.dedupe_key in unheard:
            item.status, item.outcome = RunItem.Status.SKIPPED, record_text.NOBODY_TO_TELL()
        elif item.pk in acted_on:
""",
        after="        if item.pk in acted_on:\n",
        test="tests/cronjobs/test_release.py::TestNobody::test_a_reminder_for_whom_nobody_has_an_address_is_not_done",
    ),
    Mutant(
        fault="9: a worker that stood still sends what is another's by now",
        file="notifications/delivery.py",
        before="        if not renew(row, now=batch.now()):\n            return False\n",
        after="",
        test="tests/notifications/delivery/test_claims.py"
        "::test_a_worker_that_stood_still_in_its_batch_sends_none_of_it_twice",
    ),
    Mutant(
        fault="10: one row that cannot be read fails its batch",
        file="notifications/delivery.py",
        before="""            if len(ids) > 1:
                return [outgoing for pk in ids for outgoing in self.check([pk])]
            self.keep_error(ids[0], error)
            return []
""",
        after="            raise\n",
        test="tests/notifications/delivery/test_unreadable.py::test_of_fifty_one_the_fifty_that_can_be_read_are_sent",
    ),
    Mutant(
        fault="11: removing a certification waits for the ledger while it holds the mentor",
        file="cronjobs/models/runs.py",
        before="        on_delete=models.DO_NOTHING,\n",
        after="        on_delete=models.SET_NULL,\n",
        test="tests/cronjobs/test_lock_order.py::test_a_certification_is_removed_while_the_night_is_at_its_mentor",
    ),
    Mutant(
        fault="11: `create_organisation` locks the key of a row that a night names",
        file="certifications/management/commands/create_organisation.py",
        before="Organisation.objects.select_for_update(no_key=True).filter(slug=slug)",
        after="Organisation.objects.select_for_update().filter(slug=slug)",
        test="tests/cronjobs/test_lock_order.py::test_create_organisation_is_run_again_while_the_night_is_at_work",
    ),
    Mutant(
        fault="11: a deadlock costs an attempt",
        file="cronjobs/work.py",
        before="        if isinstance(error.__cause__, DeadlockDetected):",
        after="        if False:",
        test="tests/cronjobs/test_lock_order.py::test_a_deadlock_is_tried_again_and_costs_no_attempt",
    ),
    Mutant(
        fault="12: an organisation without a schedule is no problem",
        file="cronjobs/monitoring/problems.py",
        before="        *_ask(Kind.SCHEDULE, lambda: _unwatched(now=now), now=now),\n",
        after="",
        test="tests/cronjobs/monitoring/test_problems.py"
        "::test_an_organisation_with_active_mentors_and_no_schedule_that_is_on_is_one",
    ),
    Mutant(
        fault="13: extensions that are undone out of order leave the expiry wrong",
        file="certifications/extensions.py",
        before="    _leave_to_later(extension)\n",
        after="",
        test="tests/certifications/test_extensions.py"
        "::TestUndo::test_several_give_back_the_first_expiry_in_whatever_order_they_are_undone",
    ),
    Mutant(
        fault="13: the pauses of a retry are missing in the hand-over",
        file="notifications/service.py",
        before='f"handover:{key}:{chapter_id}:{min(mentor_ids)}"',
        after='f"handover:{key}:{chapter_id}"',
        test="tests/cronjobs/test_retry.py::test_every_pause_is_in_one_handover_however_often_a_run_is_retried",
    ),
    Mutant(
        fault="13: a worker whose clock is behind beat's does not find the slot",
        file="cronjobs/tasks.py",
        before="    until = now + CLOCKS_IN_STEP\n",
        after="    until = now\n",
        test="tests/cronjobs/test_slots.py"
        "::test_a_worker_whose_clock_is_behind_beats_runs_the_slot_for_which_it_was_called",
    ),
    Mutant(
        fault="13: a slot that was missed and then switched off was “switched off”",
        file="cronjobs/schedules/missed_slots.py",
        before="error=record_text.SWITCHED_OFF() if job.was_off_at(slot) else record_text.NOT_CLAIMED(),",
        after="error=record_text.NOT_CLAIMED() if job.enabled else record_text.SWITCHED_OFF(),",
        test="tests/cronjobs/test_sweep.py"
        "::test_a_slot_that_was_missed_just_before_the_job_was_switched_off_is_kept_with_both_causes",
    ),
    Mutant(
        fault="13: a monthly slot stays amiss though a green run followed",
        file="cronjobs/monitoring/problems.py",
        before="    return _forgive_what_was_made_good(nights)\n",
        after="    return nights\n",
        test="tests/cronjobs/monitoring/test_problems.py"
        "::test_a_monthly_night_that_failed_is_over_once_a_later_run_was_green",
    ),
    Mutant(
        fault="13: a job of every five minutes alarms for an hour after an outage",
        file="cronjobs/monitoring/problems.py",
        before="""    closed = recent.filter(finished_at__isnull=False).exclude(status=Run.Status.MISSED)
    return closed.order_by("cron_job_id", "-scheduled_for").distinct("cron_job_id")
""",
        after="""    newest = recent.order_by("cron_job_id", "-scheduled_for").distinct("cron_job_id")
    return runs.filter(pk__in=newest.values("pk"), finished_at__isnull=False)
""",
        test="tests/cronjobs/monitoring/test_problems.py"
        "::test_a_job_of_every_five_minutes_is_in_order_as_soon_as_an_outage_is_over",
    ),
    Mutant(
        fault="13: a zone moved westwards brings a day back that is over",
        file="mentors/models/people.py",
        before="        return self.exclude(models.Exists(newest))\n",
        after="        return self.all()\n",
        test="tests/certifications/rules/test_resume.py::test_a_zone_further_west_does_not_bring_an_earlier_day_back",
    ),
    Mutant(
        fault="13: the slot of 23:45 that is made up at 00:01 has the next day",
        file="cronjobs/starting.py",
        before="            business_date=job.organisation.local_date(slot),\n",
        after="            business_date=job.organisation.local_date(now),\n",
        test="tests/cronjobs/test_sweep.py::test_a_slot_before_midnight_that_is_made_up_after_it_has_its_own_day",
    ),
    Mutant(
        fault="13: a certification that is removed and recorded again is reminded of twice",
        file="cronjobs/ledger.py",
        before="""        SELECT COALESCE((
                   SELECT dedupe_key FROM cronjobs_runitem
                   WHERE mentor_id = due.mentor_id AND action = 'remind' AND status IN ('pending', 'done')
                       AND (type, number, expires_on, stage) = (due.type__code, due.number, due.expires_on, due.stage)
                   LIMIT 1
               ), 'remind:' || due.id || ':' || due.expires_on || ':' || due.stage) AS dedupe_key,
""",
        after="        SELECT 'remind:' || due.id || ':' || due.expires_on || ':' || due.stage AS dedupe_key,\n",
        test="tests/certifications/rules/test_remind.py"
        "::test_one_that_is_removed_and_recorded_again_is_not_reminded_of_again",
    ),
    Mutant(
        fault="13: a line break in an organisation's name stops all its mail",
        file="notifications/delivery.py",
        before="        sender=organisation_of(message),\n",
        after="        sender=message.notification.organisation.name,\n",
        test="tests/notifications/delivery/test_lines.py::test_mail_leaves_whatever_is_stored",
    ),
    Mutant(
        fault="13: an organisation that is deleted leaves its entry in beat's tables",
        file="cronjobs/migrations/0011_take_entries_along.py",
        before="    DELETE FROM django_celery_beat_periodictask WHERE id = OLD.periodic_task_id;\n",
        after="",
        test="tests/cronjobs/schedules/test_jobs.py"
        "::test_whatever_takes_a_job_away_takes_its_entry_along_and_beat_notices",
    ),
    Mutant(
        fault="13: nobody is told of a run whose conclusion always raises",
        file="cronjobs/tasks.py",
        before="    incidents.report_sweep(sweep.sweep(now=now), now=timezone.now())\n",
        after="    sweep.sweep(now=now)\n",
        test="tests/cronjobs/monitoring/test_problems.py::test_a_conclusion_that_always_raises_is_told",
    ),
    Mutant(
        fault="13: with NIGHTLY_MAX_ATTEMPTS=1 an attempt together with others is one's last",
        file="cronjobs/work.py",
        before="""        if len(batch.mentor_ids) > 1:
            RunItem.objects.filter(pk__in=[item.pk for item in items]).update(error=record_text.TRIED_TOGETHER())
            return
""",
        after="",
        test="tests/cronjobs/test_night_failures.py"
        "::TestOneAttempt::test_a_batch_that_killed_its_worker_is_split_and_every_mentor_has_an_attempt",
    ),
]

OTHERS = [
    Mutant(
        fault="who is planned for a pause is paused, whatever happened since",
        file="certifications/expiry.py",
        before="    paused = change_status(\n        {mentor_id: record_text.LAPSED",
        after="    lapsed = dict.fromkeys(mentor_ids, list(ids)[:1])\n"
        "    paused = change_status(\n        {mentor_id: record_text.LAPSED",
        test="tests/cronjobs/test_night_work.py"
        "::test_a_pause_that_is_no_longer_due_is_skipped_with_the_reason[renew-renewed]",
    ),
    Mutant(
        fault="a reminder that is no longer due is given all the same",
        file="cronjobs/work.py",
        before="*(item for item in to_remind if (item.certification_id, item.expires_on, item.stage) in reminders),",
        after="*to_remind,",
        test="tests/cronjobs/test_night_work.py::test_a_reminder_that_is_no_longer_due_is_skipped_with_the_reason",
    ),
    Mutant(
        fault="who is planned for a resume is resumed, whatever happened since",
        file="certifications/expiry.py",
        before="""renewed = [row["mentor_id"] for row in found if not row["codes"]]""",
        after="renewed = list(mentor_ids)",
        test="tests/cronjobs/test_night_work.py"
        "::test_a_resume_that_is_no_longer_due_is_skipped_with_the_reason[revoke-lapsed_again]",
    ),
    Mutant(
        fault="exemptions do not cover",
        file="certifications/models/certifications.py",
        before="            .exclude(models.Exists(Exemption.objects.in_force(on=on).filter(**same)))\n",
        after="",
        test="tests/cronjobs/test_night_work.py"
        "::test_a_pause_that_is_no_longer_due_is_skipped_with_the_reason[exempt-renewed]",
    ),
    Mutant(
        fault="a plan does not expect that somebody was first (ON CONFLICT)",
        file="cronjobs/ledger.py",
        before="ON CONFLICT (dedupe_key) WHERE status IN ('pending', 'done') DO NOTHING",
        after="",
        test="tests/cronjobs/test_night_plan.py"
        "::test_a_finished_night_plans_nothing_new_and_says_what_was_handled_already",
    ),
    Mutant(
        fault="two who deliver take the same messages (SKIP LOCKED)",
        file="notifications/claims.py",
        before="LIMIT %(limit)s FOR UPDATE SKIP LOCKED",
        after="LIMIT %(limit)s",
        test="tests/notifications/delivery/test_claims.py::test_what_one_is_just_claiming_another_passes_over",
    ),
    Mutant(
        fault="a message on its way has no lease",
        file="notifications/claims.py",
        before="LEASE = timedelta(minutes=15)",
        after="LEASE = timedelta()",
        test="tests/notifications/delivery/test_failing.py"
        "::TestStuck::test_what_a_dead_worker_left_is_queued_again_when_its_lease_is_over",
    ),
    Mutant(
        fault="the night does not lock its mentors",
        file="cronjobs/work.py",
        before="""pk__any_of={item.mentor_id for item in items}).locked().values_list("pk"))""",
        after="""pk__any_of={item.mentor_id for item in items}).values_list("pk"))""",
        test="tests/cronjobs/test_lock_order.py::test_who_renews_while_the_night_is_at_work_is_not_paused",
    ),
    Mutant(
        fault="a status is changed whatever it is by now",
        file="mentors/status.py",
        before="WHERE mentor.id = wanted.mentor_id AND mentor.status = %(from_status)s",
        after="WHERE mentor.id = wanted.mentor_id",
        test="tests/mentors/test_status.py::test_who_has_another_status_by_now_is_left_alone_and_nothing_is_logged",
    ),
    Mutant(
        fault="a type's grace and whether it is required do not change `lapses_on` (trigger)",
        file="certifications/migrations/0001_lapses_on.sql",
        before="WHEN (OLD.required IS DISTINCT FROM NEW.required OR OLD.grace_days IS DISTINCT FROM NEW.grace_days)",
        after="WHEN (false)",
        test="tests/certifications/rules/test_lapse.py"
        "::test_the_first_day_not_covered_follows_every_change[give_grace]",
    ),
    Mutant(
        fault="a certification that is removed does not change `lapses_on` (trigger)",
        file="certifications/migrations/0001_lapses_on.sql",
        before="""    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT mentor_id) INTO mentor_ids FROM before_rows;""",
        after="""    ELSIF TG_OP = 'DELETE' THEN
        mentor_ids := NULL;""",
        test="tests/certifications/rules/test_lapse.py"
        "::test_the_first_day_not_covered_follows_every_change[delete_one]",
    ),
    Mutant(
        fault="who has renewed in time is reminded",
        file="certifications/reminders.py",
        before="        .unless_superseded(Value(one_day))\n",
        after="",
        test="tests/certifications/rules/test_remind.py"
        "::test_a_certification_is_superseded_by_one_that_follows_without_a_gap",
    ),
    Mutant(
        fault="the public page looks at `lapses_on` alone",
        file="certifications/coverage.py",
        before="""uncertain = Q(lapses_on__lte=on) | Q(pk__in=begins_later.order_by().values("mentor"))""",
        after="uncertain = Q(lapses_on__lte=on)",
        test="tests/certifications/api/test_public.py::test_whatever_the_search_aid_says_the_page_follows_the_rules",
    ),
    Mutant(
        fault="what a message says is not checked before it leaves",
        file="certifications/recheck.py",
        before="    if said is None:\n        return True",
        after="    if True:\n        return True",
        test="tests/notifications/rules/test_recheck.py::test_the_news_of_a_pause_is_not_sent_when_it_is_over",
    ),
    Mutant(
        fault="reminders are not checked before they leave",
        file="certifications/recheck.py",
        before='        return is_for_her and (event.facts["certification_id"], event.facts["expires_on"]) in due',
        after="        return is_for_her",
        test="tests/notifications/rules/test_recheck.py::test_a_reminder_is_not_sent_when_the_mentor_has_renewed",
    ),
    Mutant(
        fault="a run is closed while something is pending",
        file="cronjobs/nightly.py",
        before="""        if run.status != Run.Status.RUNNING or RunItem.objects.pending().filter(run=run).exists():
            return False
        _balance(run)""",
        after="""        if run.status != Run.Status.RUNNING:
            return False
        _balance(run)""",
        test="tests/cronjobs/test_night_close.py::test_a_run_that_is_just_being_planned_is_not_closed",
    ),
    Mutant(
        fault="a revocation pauses nobody",
        file="certifications/recording.py",
        before="    if certification.type not in uncovered:\n        return\n",
        after="    if certification.type in uncovered or True:\n        return\n",
        test="tests/certifications/test_recording.py"
        "::TestRevocation::test_it_pauses_at_once_when_a_required_type_is_left_uncovered",
    ),
    Mutant(
        fault="a person reactivates who has lapsed (rule 10)",
        file="certifications/mentor_status.py",
        before="    if lapsed and exempt_until is None:\n",
        after="    if lapsed and exempt_until is None and not lapsed:\n",
        test="tests/certifications/test_recording.py::TestReactivation::test_it_is_refused_while_a_type_has_lapsed",
    ),
    Mutant(
        fault="the night lifts every pause",
        file="mentors/models/people.py",
        before="return self.filter(status=Mentor.Status.PAUSED, pause_cause=Mentor.PauseCause.CERTIFICATION_EXPIRED)",
        after="return self.filter(status=Mentor.Status.PAUSED)",
        test="tests/certifications/rules/test_resume.py::test_only_a_person_resumes_who_was_paused_for_another_reason",
    ),
    Mutant(
        fault="a day is a day in UTC",
        file="mentors/models/organisations.py",
        before="return now.astimezone(zoneinfo.ZoneInfo(self.timezone)).date()",
        after="return now.date()",
        test="tests/cronjobs/test_sweep.py::test_a_missed_slot_is_made_up_once",
    ),
    Mutant(
        fault="a stand-in may lack a required certification",
        file="certifications/coverage.py",
        before="if not gap.lapsed and not gap.missing and",
        after="if not gap.lapsed and",
        test="tests/certifications/rules/test_coverage.py::test_only_who_lacks_nothing_may_take_over",
    ),
    Mutant(
        fault="who has left is told like the others",
        file="notifications/recipients.py",
        before="CoordinatorRole.objects.filter(duty=CoordinatorRole.Duty.COORDINATOR, user__is_active=True)",
        after="CoordinatorRole.objects.filter(duty=CoordinatorRole.Duty.COORDINATOR)",
        test="tests/notifications/rules/test_told.py::test_a_coordinator_who_has_left_counts_for_nothing",
    ),
    Mutant(
        fault="messages that a dead worker left are forgotten",
        file="cronjobs/sweep.py",
        before="    claims.free_stuck(now=now)\n",
        after="",
        test="tests/cronjobs/test_sweep.py"
        "::test_what_a_dead_worker_left_half_sent_is_queued_again_and_delivery_is_nudged",
    ),
    Mutant(
        fault="runs that a dead worker left are forgotten",
        file="cronjobs/sweep.py",
        before="""    elif left := list(nightly.batches(run, now=now, count_attempt_first=True)):""",
        after="""    elif left := []:""",
        test="tests/cronjobs/test_sweep.py::test_a_run_that_does_not_move_is_sent_out_again_carefully",
    ),
]
MUTANTS = MENDED + OTHERS


@dataclass(frozen=True, kw_only=True)
class Verdict:
    mutant: Mutant
    by: str
    histories: str = ""
    seconds: float
    why: str = ""  # in the words of pytest, of the named test


@contextmanager
def mutated(mutant: Mutant) -> Iterator[Path]:
    """Copy the tree, with the fault in it, for the time of a block."""
    with TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "tree"
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines():
            if (PROJECT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, copy / name)
        for place in mutant.places:
            (copy / place.file).write_text(with_fault(copy, place))
        yield copy


def with_fault(tree: Path, place: Place) -> str:
    """Return the file with the fault in it; end the script if it no longer fits."""
    text = (tree / place.file).read_text()
    if (count := text.count(place.before)) != 1:
        sys.exit(f"What a mutant replaces in {place.file} is there {count} times, and not once:\n{place.before}")
    return text.replace(place.before, place.after)


def check(mutant: Mutant) -> None:
    """End the script if the mutant no longer fits the tree."""
    for place in mutant.places:
        with_fault(PROJECT, place)
    if mutant.test:
        file, *names = mutant.test.partition("[")[0].split("::")
        text = (PROJECT / file).read_text() if (PROJECT / file).is_file() else ""
        if not all(re.search(rf"(def|class) {name}\b", text) for name in names):
            sys.exit(f"There is no test {mutant.test}.")


def find(mutant: Mutant, *, histories: int, seed: int, named: bool, environment: dict[str, str]) -> Verdict:
    """Play the named test, unless only the simulator is asked, and then histories, until one finds the fault."""
    began, by, at, why = perf_counter(), "", "", ""
    with mutated(mutant) as tree:
        if mutant.test and named:
            said = _pytest(tree, mutant.test, environment).stdout
            failed = FAILED.search(said)
            by = mutant.test if failed else ""
            why = (failed or LAST_LINE.search(said) or [""])[0]
        if not by:
            options = {"SEEDS": str(histories), "SEED": str(seed), "NO_SHRINK": "1"}
            played = _pytest(tree, SIMULATOR, environment | options)
            if found := FOUND.search(played.stdout):
                at, by = found[1], f"the simulator: {found[2]}"
            elif played.returncode:
                by = f"an error: {played.stdout.strip().splitlines()[-1]}"
    return Verdict(mutant=mutant, by=by, histories=at, seconds=perf_counter() - began, why=why)


def _pytest(tree: Path, test: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider", test]
    environment = os.environ | {"COLUMNS": "400"} | environment  # so that what failed is summed up in whole lines
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=500)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="those whose fault has one of the words")
    parser.add_argument("--simulator", action="store_true", help="ask the simulator only, and not the named tests")
    parser.add_argument("--why", action="store_true", help="say on stderr what the named tests say")
    options = parser.parse_args(arguments)
    chosen = [each for each in MUTANTS if not options.only or any(word in each.fault for word in options.only)]
    for mutant in chosen:
        check(mutant)
    print("| fault | found by | after histories | seconds |\n| --- | --- | --- | --- |", flush=True)
    missed = 0
    how = {"histories": options.histories, "seed": options.seed, "named": not options.simulator}
    with development_environment("mutants", scratch=True) as servers:
        for mutant in chosen:
            verdict = find(mutant, **how, environment=dict(servers))
            missed += not verdict.by
            row = (mutant.fault, verdict.by or "**nobody**", verdict.histories, f"{verdict.seconds:.0f}")
            print(f"| {' | '.join(row)} |", flush=True)
            if options.why and verdict.why:
                print(f"  {verdict.why}", file=sys.stderr, flush=True)
    print(f"\n{len(chosen) - missed} of {len(chosen)} found.")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
