"""The night of 2026-11-21 over 1,448 real terms of 849 holders, against the model of the rules."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import pytest

from certifications.models import Certification, CertificationType
from cronjobs.models import Run, RunItem
from mentors.models import Chapter, Mentor, Organisation
from tests.support import model
from tests.support.nights import run_night

ROSTER = Path(__file__).resolve().parents[3] / "shared" / "data" / "roster.csv"
TYPES = {
    "likepersonkurs": True,
    "taushetserklaering": True,
    "horselsteknikk": False,
    "forstehjelp": False,
    "tegnsprak": False,
}

Line = dict[str, str]


@pytest.fixture(scope="module")
def roster() -> list[Line]:
    if not ROSTER.exists():
        pytest.skip(f"{ROSTER} is not here")
    with ROSTER.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    # A later line about the same certification corrects an earlier one.
    terms = {(line["mentor_ref"], line["certification"], line["number"], line["issued_on"]): line for line in lines}
    return list(terms.values())


def expiry(line: Line) -> date | None:
    return date.fromisoformat(line["expires_on"]) if line["expires_on"] else None


def load(roster: list[Line], organisation: Organisation) -> None:
    """Write the roster into the database, whose planner has no statistics of it yet, as after an import."""
    chapters = {
        name: Chapter.objects.create(organisation=organisation, name=name, slug=f"chapter-{number}")
        for number, name in enumerate(sorted({line["chapter"] for line in roster}))
    }
    types = {
        code: CertificationType.objects.create(organisation=organisation, code=code, name=code, required=required)
        for code, required in TYPES.items()
    }
    holders = {line["mentor_ref"]: line for line in roster}
    Mentor.objects.bulk_create(
        Mentor(
            organisation=organisation,
            chapter=chapters[line["chapter"]],
            ref=ref,
            name=line["name"],
            email=line["email"],
            phone=line["phone"],
            language=line["language"],
        )
        for ref, line in holders.items()
    )
    mentor_ids = dict(Mentor.objects.values_list("ref", "pk"))
    Certification.objects.bulk_create(
        Certification(
            mentor_id=mentor_ids[line["mentor_ref"]],
            type=types[line["certification"]],
            number=line["number"],
            issued_on=date.fromisoformat(line["issued_on"]),
            expires_on=expiry(line),
        )
        for line in roster
    )


def as_model(roster: list[Line]) -> model.Service:
    types = {code: model.Type(code, required) for code, required in TYPES.items()}
    held: dict[str, list[model.Certification]] = defaultdict(list)
    for line in roster:
        held[line["mentor_ref"]].append(
            model.Certification(
                types[line["certification"]],
                line["number"],
                date.fromisoformat(line["issued_on"]),
                expiry(line),
            )
        )
    mentors = [model.Mentor(ref, certifications=certifications) for ref, certifications in held.items()]
    return model.Service(model.Organisation(), mentors)


def test_the_night_over_the_real_roster_does_exactly_what_the_rules_say(
    roster: list[Line], hlf: Organisation, today: date
) -> None:
    load(roster, hlf)

    run = run_night(hlf, today, approved=True)

    items = RunItem.objects.filter(run=run, status=RunItem.Status.DONE)
    done = [
        model.Item(*item)
        for item in items.values_list("action", "mentor__ref", "type", "number", "expires_on", "stage")
    ]
    expected = as_model(roster).night(today)
    counts = Counter(item.action for item in done)
    print("the roster's night:", run.counts, dict(counts))
    assert Mentor.objects.count() == 849
    assert run.status == Run.Status.SUCCEEDED
    assert Counter(done) == Counter(expected.done)
    assert counts["pause"] > 100
    assert counts["remind"] > 50


def test_a_brake_of_a_fifth_holds_the_night_over_the_real_roster_until_a_person_has_looked(
    roster: list[Line], hlf: Organisation, today: date
) -> None:
    Organisation.objects.update(brake_percent=20)
    load(roster, hlf)

    run = run_night(hlf, today)

    assert run.status == Run.Status.HELD
    assert not Mentor.objects.exclude(status=Mentor.Status.ACTIVE).exists()
