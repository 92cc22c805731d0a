"""What the record says: kept as codes and parameters, and read as sentences in the reader's language."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from uuid import UUID

import pytest
from django.utils import translation

from certifications import record_text as of_certifications
from cronjobs import record_text
from cronjobs.models import Run
from cronjobs.work import LEFT_ALONE
from mentors.models import Mentor, Organisation
from mentors.record_text import EMPTY, PHRASES, VERBATIM, Phrase, RecordText, join, verbatim
from notifications import record_text as of_messages
from tests.conftest import TODAY
from tests.support.nights import plan_night

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r"%\((\w+)\)s")
RUN = UUID("5b0c8f5e-6f0f-4f0e-9d55-0d4b6a3f7c11")
# Those that only repeat what somebody else has said.
WORDS_OF_OTHERS = {VERBATIM.code, of_messages.NOT_NOW.code, of_messages.MAIL_SERVER_SAID.code, of_messages.BROKE.code}
OUTAGE = {"since": "2026-11-21 00:29:58", "until": "2026-11-21 00:31:02"}


class Places(dict[str, object]):
    """Stands for the values of every place: of a number it has one, of all else the place itself."""

    def __missing__(self, name: str) -> str:
        return f"%({name})s"


def say(phrase: Phrase) -> RecordText:
    """Say the phrase with a value in each place."""
    numbers = {"count": 2, "planned": 2}
    with translation.override("en"):
        names = PLACE.findall(str(phrase.text % Places(numbers)))
    return phrase(**numbers, **{name: f"«{name}»" for name in names})


@pytest.mark.parametrize("code", sorted(set(PHRASES) - WORDS_OF_OTHERS))
@pytest.mark.parametrize("language", ["nb", "nn"])
def test_each_phrase_is_read_in_the_readers_language(code: str, language: str) -> None:
    said = say(PHRASES[code])

    with translation.override(language):
        assert str(said) != said.in_english()
    assert not PLACE.search(said.in_english())


def test_sentences_follow_each_other() -> None:
    cause = (
        record_text.DATABASE_AWAY(**OUTAGE)
        + record_text.BEAT_STILL_SILENT(since=OUTAGE["since"])
        + record_text.PAUSED_JOB_BY_AT(by="olav", at="2026-11-20 14:00:00", said="Ferie: 3 av 4 kan.")
    )

    with translation.override("nb"):
        assert str(cause) == (
            "Databasen, eller hele maskinen, var borte fra 2026-11-21 00:29:58 til 2026-11-21 00:31:02. "
            "Beat var taus fra 2026-11-21 00:29:58 til dette ble skrevet. "
            "Slått av av olav 2026-11-20 14:00:00: Ferie: 3 av 4 kan."
        )


def test_the_parts_of_a_list_are_counted_and_kept_apart() -> None:
    deviation = join(
        [record_text.PAUSES_EXPECTED(planned=0, expected=40), record_text.RESUMES_EXPECTED(planned=1, expected=31)]
    )

    assert deviation.in_english() == "0 pauses where 40 were expected; 1 resume where 31 were expected"


def test_one_record_may_quote_another() -> None:
    given_up = of_messages.GIVEN_UP(attempts=8, reason=of_messages.APP_ANSWERED(status=503))

    assert given_up.in_english() == "Given up after 8 attempts: The app answered 503."
    with translation.override("nb"):
        assert str(given_up) == "Gitt opp etter 8 forsøk: Appen svarte 503."


@pytest.mark.parametrize("text", ["paused for the summer", "The job was switched off.", "50 % (of %(all)s)", "; "])
def test_the_words_of_others_are_shown_as_they_are(text: str) -> None:
    with translation.override("nb"):
        assert str(verbatim(text)) == text


def test_nothing_is_nothing() -> None:
    assert not verbatim("")
    assert (str(EMPTY), EMPTY.as_text(), EMPTY.as_json()) == ("", "", [])


def test_a_code_of_another_version_is_shown_as_it_stands() -> None:
    unknown = RecordText([{"code": "from_the_future", "run": "7"}])

    assert str(unknown) == 'from_the_future {"run":"7"}'


def test_a_code_with_the_parameters_of_another_version_is_shown_as_it_stands() -> None:
    older = record_text.HELD_UP() + RecordText([{"code": "rejected", "who": "kari"}])

    assert older.in_english() == 'It was held up. rejected {"who":"kari"}'


def test_a_file_gets_codes_and_parameters_the_same_in_every_language() -> None:
    said = record_text.REJECTED(by="kari", said="Feil datoer") + record_text.PAUSED()

    with translation.override("nn"):
        assert said.as_text() == 'rejected {"by":"kari","said":"Feil datoer"}; paused'


def test_it_says_which_phrases_it_has() -> None:
    said = record_text.HELD_UP() + record_text.ITEMS_FAILED(count=2)

    assert record_text.ITEMS_FAILED in said
    assert record_text.PAUSED not in said
    assert said.params_of(record_text.ITEMS_FAILED) == {"count": 2}
    assert said.without(record_text.ITEMS_FAILED) == record_text.HELD_UP()
    assert said.startswith(record_text.HELD_UP())


def test_a_code_is_given_once() -> None:
    with pytest.raises(ValueError, match="paused is taken"):
        Phrase("paused", "paused again")


@pytest.mark.django_db
def test_it_comes_back_from_the_database_as_it_was(hlf: Organisation) -> None:
    run = plan_night(hlf, TODAY)
    run.cause = record_text.TAKEN_OVER(run=RUN) + of_certifications.LAPSED(types=["first_aid", "course"])
    run.save(update_fields=["cause"])

    [cause] = Run.objects.values_list("cause", flat=True)

    assert cause == run.cause
    assert cause.in_english() == f"Held, then taken over by run {RUN}. Lapsed: first_aid, course"
    assert Run.objects.filter(cause=run.cause).exists()


@pytest.mark.django_db
def test_what_postgresql_does_not_take_is_replaced(hlf: Organisation) -> None:
    run = plan_night(hlf, TODAY)

    Run.objects.filter(pk=run.pk).update(error=verbatim("a NUL \0, half a pair \ud800"))

    run.refresh_from_db()
    assert str(run.error) == "a NUL \N{REPLACEMENT CHARACTER}, half a pair ?"


def test_every_reason_to_leave_a_mentor_alone_has_its_phrase() -> None:
    others = set(Mentor.PauseCause.values) - {Mentor.PauseCause.CERTIFICATION_EXPIRED}

    assert set(LEFT_ALONE) == others | {Mentor.Status.ACTIVE, Mentor.Status.ENDED}


# What is kept to be read, and must not be taken apart.
SAID = {"error", "outcome", "cause", "deviation", "details", "title", "reason", "pause_reason", "summary", "fault"}
TAKES_APART = {"startswith", "endswith", "removesuffix", "removeprefix", "partition", "split", "splitlines", "find"}
LOOKS_INTO = re.compile(rf"(?:{'|'.join(SAID)})__(?:i?regex|i?startswith|icontains|i?endswith|iexact)")


def test_no_code_takes_a_sentence_of_the_record_apart() -> None:
    found = []
    for app in ("mentors", "certifications", "notifications", "cronjobs"):
        for path in (ROOT / app).rglob("*.py"):
            source = path.read_text()
            for node in ast.walk(ast.parse(source)):
                match node:
                    case ast.Call(func=ast.Attribute(attr=method, value=ast.Attribute(attr=name))) if (
                        method in TAKES_APART and name in SAID
                    ):
                        found.append(f"{path.name}: {ast.unparse(node.func)}")
            found += [f"{path.name}: {match[0]}" for match in LOOKS_INTO.finditer(source)]

    assert found == ["incidents.py: incident.details.startswith"]  # which compares two data
