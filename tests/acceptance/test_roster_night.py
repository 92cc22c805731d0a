"""The night of 2026-11-21 over 1,448 real terms of 849 holders, against the model of the rules."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from cronjobs.models import Run, RunItem
from mentors.models import Mentor, Organisation
from tests.support import model
from tests.support.nights import run_night
from tests.support.real_roster import as_model, load, real_roster


@pytest.mark.usefixtures("olav")  # whoever has no address: somebody is told
def test_the_night_over_the_real_roster_does_exactly_what_the_rules_say(hlf: Organisation, today: date) -> None:
    roster = real_roster()
    load(roster, hlf)

    run = run_night(hlf, today, approved=True)

    items = RunItem.objects.filter(run=run, status=RunItem.Status.DONE)
    done = [
        model.Due(*item) for item in items.values_list("action", "mentor__ref", "type", "number", "expires_on", "stage")
    ]
    counts = Counter(item.action for item in done)
    print("the roster's night:", run.counts, dict(counts))
    assert Mentor.objects.count() == 849
    assert run.status == Run.Status.SUCCEEDED
    assert Counter(done) == Counter(as_model(roster).due(today))
    assert counts["pause"] > 100
    assert counts["remind"] > 50


def test_a_brake_of_a_fifth_holds_the_night_over_the_real_roster_until_a_person_has_looked(
    hlf: Organisation, today: date
) -> None:
    Organisation.objects.update(brake_percent=20)
    load(real_roster(), hlf)

    run = run_night(hlf, today)

    assert run.status == Run.Status.HELD
    assert not Mentor.objects.exclude(status=Mentor.Status.ACTIVE).exists()
