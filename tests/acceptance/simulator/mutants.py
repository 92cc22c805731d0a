"""Do the simulator and the tests have teeth? Faults are put back, one at a time, and each must be found.

    python -m tests.acceptance.simulator.mutants [--histories 500] [--seed 14] [--only WORD …]

Each mutant is one replacement in one file of the product, in a temporary copy of the tree. The named test, if there is
one, is played first, and then the simulator. A patch that no longer fits ends the script at once. Prints a table, and
ends with 1 if a fault was not found. `EXCEPT=…` passes over laws, as for the simulator (judge.py).

To add one: copy the lines that are in the way of the fault into `before`, exactly as they stand and so many of them
that they stand there once; write into `after` what stood there when the fault was there.
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


@dataclass(frozen=True, kw_only=True)
class Mutant:
    fault: str
    file: str
    before: str
    after: str
    test: str = ""  # a pytest node id that finds it


MUTANTS = [
    Mutant(
        fault="who is planned for a pause is paused, whatever happened since",
        file="certifications/expiry.py",
        before="    paused = change_status(\n        {mentor_id: record_text.LAPSED",
        after="    lapsed = dict.fromkeys(mentor_ids, ['course'])\n"
        "    paused = change_status(\n        {mentor_id: record_text.LAPSED",
    ),
    Mutant(
        fault="a reminder that is no longer due is given all the same",
        file="cronjobs/work.py",
        before="*(item for item in to_remind if (item.certification_id, item.expires_on, item.stage) in reminders),",
        after="*to_remind,",
    ),
    Mutant(
        fault="who is planned for a resume is resumed, whatever happened since",
        file="certifications/expiry.py",
        before="""renewed = [row["mentor_id"] for row in found if not row["codes"]]""",
        after="renewed = list(mentor_ids)",
    ),
    Mutant(
        fault="exemptions do not cover",
        file="certifications/models/certifications.py",
        before="            .exclude(models.Exists(Exemption.objects.in_force(on=on).filter(**same)))\n",
        after="",
    ),
    Mutant(
        fault="a plan does not expect that somebody was first (ON CONFLICT)",
        file="cronjobs/ledger.py",
        before="ON CONFLICT (dedupe_key) WHERE status IN ('pending', 'done') DO NOTHING",
        after="",
    ),
    Mutant(
        fault="two who deliver take the same messages (SKIP LOCKED)",
        file="notifications/claims.py",
        before="LIMIT %(limit)s FOR UPDATE SKIP LOCKED",
        after="LIMIT %(limit)s",
    ),
    Mutant(
        fault="a message on its way has no lease",
        file="notifications/claims.py",
        before="LEASE = timedelta(minutes=15)",
        after="LEASE = timedelta()",
    ),
    Mutant(
        fault="the night does not lock its mentors",
        file="cronjobs/work.py",
        before="""pk__in={item.mentor_id for item in items}).locked().values_list("pk"))""",
        after="""pk__in={item.mentor_id for item in items}).values_list("pk"))""",
    ),
    Mutant(
        fault="a status is changed whatever it is by now",
        file="mentors/status.py",
        before="WHERE mentor.id = wanted.mentor_id AND mentor.status = %(from_status)s",
        after="WHERE mentor.id = wanted.mentor_id",
    ),
    Mutant(
        fault="a type's grace and whether it is required do not change `lapses_on` (trigger)",
        file="certifications/migrations/0001_lapses_on.sql",
        before="WHEN (OLD.required IS DISTINCT FROM NEW.required OR OLD.grace_days IS DISTINCT FROM NEW.grace_days)",
        after="WHEN (false)",
    ),
    Mutant(
        fault="a certification that is removed does not change `lapses_on` (trigger)",
        file="certifications/migrations/0001_lapses_on.sql",
        before="""    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT mentor_id) INTO mentor_ids FROM before_rows;""",
        after="""    ELSIF TG_OP = 'DELETE' THEN
        mentor_ids := NULL;""",
    ),
    Mutant(
        fault="who has renewed in time is reminded",
        file="certifications/reminders.py",
        before="        .unless_superseded(Value(one_day))\n",
        after="",
    ),
    Mutant(
        fault="the public page looks at `lapses_on` alone",
        file="certifications/coverage.py",
        before="""uncertain = Q(lapses_on__lte=on) | Q(pk__in=begins_later.order_by().values("mentor"))""",
        after="uncertain = Q(lapses_on__lte=on)",
    ),
    Mutant(
        fault="what a message says is not checked before it leaves",
        file="certifications/recheck.py",
        before="    if said is None:\n        return True",
        after="    if True:\n        return True",
    ),
    Mutant(
        fault="reminders are not checked before they leave",
        file="certifications/recheck.py",
        before='        return is_for_her and (event.facts["certification_id"], event.facts["expires_on"]) in due',
        after="        return is_for_her",
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
    ),
    Mutant(
        fault="a revocation pauses nobody",
        file="certifications/recording.py",
        before="    if certification.type not in uncovered:\n        return\n",
        after="    if certification.type in uncovered or True:\n        return\n",
    ),
    Mutant(
        fault="a person reactivates who has lapsed (rule 10)",
        file="certifications/mentor_status.py",
        before="    if lapsed and exempt_until is None:\n",
        after="    if lapsed and exempt_until is None and not lapsed:\n",
    ),
    Mutant(
        fault="the night lifts every pause",
        file="mentors/models/people.py",
        before="return self.filter(status=Mentor.Status.PAUSED, pause_cause=Mentor.PauseCause.CERTIFICATION_EXPIRED)",
        after="return self.filter(status=Mentor.Status.PAUSED)",
    ),
    Mutant(
        fault="a day is a day in UTC",
        file="mentors/models/organisations.py",
        before="return now.astimezone(zoneinfo.ZoneInfo(self.timezone)).date()",
        after="return now.date()",
    ),
    Mutant(
        fault="a stand-in may lack a required certification",
        file="certifications/coverage.py",
        before="if not gap.lapsed and not gap.missing and",
        after="if not gap.lapsed and",
    ),
    Mutant(
        fault="who has left is told like the others",
        file="notifications/recipients.py",
        before="CoordinatorRole.objects.filter(duty=CoordinatorRole.Duty.COORDINATOR, user__is_active=True)",
        after="CoordinatorRole.objects.filter(duty=CoordinatorRole.Duty.COORDINATOR)",
    ),
    Mutant(
        fault="messages that a dead worker left are forgotten",
        file="cronjobs/sweep.py",
        before="    claims.free_stuck(now=now)\n",
        after="",
    ),
    Mutant(
        fault="runs that a dead worker left are forgotten",
        file="cronjobs/sweep.py",
        before="""    elif left := list(nightly.batches(run, now=now, count_attempt_first=True)):""",
        after="""    elif left := []:""",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    mutant: Mutant
    by: str
    histories: str = ""
    seconds: float


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
        (copy / mutant.file).write_text(with_fault(copy, mutant))
        yield copy


def with_fault(tree: Path, mutant: Mutant) -> str:
    """Return the file with the fault in it; end the script if it no longer fits."""
    text = (tree / mutant.file).read_text()
    if (count := text.count(mutant.before)) != 1:
        sys.exit(f"“{mutant.fault}” no longer fits {mutant.file}, where what it replaces is {count} times.")
    return text.replace(mutant.before, mutant.after)


def find(mutant: Mutant, *, histories: int, seed: int, environment: dict[str, str]) -> Verdict:
    """Play the named test, and then histories, until one of them finds the fault."""
    began = perf_counter()
    with mutated(mutant) as tree:
        if mutant.test and _pytest(tree, mutant.test, environment).returncode == 1:
            return Verdict(mutant=mutant, by=mutant.test, seconds=perf_counter() - began)
        options = {"SEEDS": str(histories), "SEED": str(seed), "NO_SHRINK": "1"}
        played = _pytest(tree, SIMULATOR, environment | options)
    seconds = perf_counter() - began
    if found := FOUND.search(played.stdout):
        return Verdict(mutant=mutant, by=f"the simulator: {found[2]}", histories=found[1], seconds=seconds)
    if played.returncode:
        return Verdict(mutant=mutant, by=f"an error: {played.stdout.strip().splitlines()[-1]}", seconds=seconds)
    return Verdict(mutant=mutant, by="", seconds=seconds)


def _pytest(tree: Path, test: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=tree, env=os.environ | environment, capture_output=True, text=True, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=500)
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="those whose fault has one of the words")
    options = parser.parse_args(arguments)
    chosen = [each for each in MUTANTS if not options.only or any(word in each.fault for word in options.only)]
    for mutant in chosen:
        with_fault(PROJECT, mutant)
    print("| fault | found by | after histories | seconds |\n| --- | --- | --- | --- |", flush=True)
    missed = 0
    with development_environment("mutants", scratch=True) as servers:
        for mutant in chosen:
            verdict = find(mutant, histories=options.histories, seed=options.seed, environment=dict(servers))
            missed += not verdict.by
            row = (mutant.fault, verdict.by or "**nobody**", verdict.histories, f"{verdict.seconds:.0f}")
            print(f"| {' | '.join(row)} |", flush=True)
    print(f"\n{len(chosen) - missed} of {len(chosen)} found.")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
