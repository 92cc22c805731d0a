"""The real roster, 1,448 terms of 849 holders: read, written into the database, and told to the model of the rules."""

from __future__ import annotations

import csv
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from certifications.models import Certification, CertificationType
from mentors.models import Chapter, Mentor, Organisation
from tests.support import model

ROSTER = Path(__file__).resolve().parents[3] / "shared" / "data" / "roster.csv"
TYPES = {
    "likepersonkurs": True,
    "taushetserklaering": True,
    "horselsteknikk": False,
    "forstehjelp": False,
    "tegnsprak": False,
}

Line = dict[str, str]


@cache
def real_roster() -> list[Line]:
    """Return the lines as they count; without the file the test is skipped."""
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


def as_model(roster: list[Line]) -> model.State:
    types = {
        code: model.Type(id=number, code=code, required=required)
        for number, (code, required) in enumerate(TYPES.items())
    }
    mentors = {
        ref: model.Mentor(id=number, ref=ref)
        for number, ref in enumerate(sorted({line["mentor_ref"] for line in roster}))
    }
    certifications = [
        model.Certification(
            id=number,
            mentor_id=mentors[line["mentor_ref"]].id,
            type_id=types[line["certification"]].id,
            number=line["number"],
            issued_on=date.fromisoformat(line["issued_on"]),
            expires_on=expiry(line),
        )
        for number, line in enumerate(roster)
    ]
    return model.State(
        organisations={1: model.Organisation()},
        types={type.id: type for type in types.values()},
        mentors={mentor.id: mentor for mentor in mentors.values()},
        certifications=certifications,
    )
