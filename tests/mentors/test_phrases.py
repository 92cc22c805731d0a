"""What the record says: written in English, and read phrase by phrase in the reader's language."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.utils import translation

from cronjobs import record_text
from cronjobs.record_text import PHRASES, read
from cronjobs.work import LEFT_ALONE
from mentors.models import Mentor
from mentors.record_text import PLACE, Phrase
from mentors.record_text import read as read_with

VALUES = {
    "since": "2026-11-21 00:29:58", "until": "2026-11-21 00:31:02", "at": "2026-11-20 14:00:00", "time": "02:30",
    "moved": "03:30", "day": "2027-03-28", "zone": "Europe/Oslo", "run": str(uuid4()), "by": "olav",
    "said": "Ferie: vi er tilbake i august. 3 av 4 kan.", "count": "12", "planned": "0", "expected": "40",
    "field": "queue", "value": "fast", "wanted": "None", "kind": "interval", "entry": "0 1 * * *", "job": "30 0 * * *",
    "channel": "sms", "attempts": "8", "reason": "451 4.7.1 Try again later. Please.", "status": "503",
}  # fmt: skip


def written(phrase: Phrase) -> str:
    return phrase.write(**{name: VALUES[name] for name in PLACE.findall(phrase.written)})


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.written)
@pytest.mark.parametrize("language", ["nb", "nn"])
def test_each_phrase_is_read_in_another_language_with_its_values(phrase: Phrase, language: str) -> None:
    with translation.override(language):
        said = read(written(phrase))
        assert said == translation.gettext(phrase.shown or phrase.written) % VALUES

    assert said != written(phrase)


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.written)
def test_in_english_it_is_read_as_it_was_written_or_as_a_sentence(phrase: Phrase) -> None:
    with translation.override("en"):
        assert read(written(phrase)) == (phrase.shown or phrase.written) % VALUES


def test_sentences_that_follow_each_other_are_read_one_by_one() -> None:
    cause = " ".join(
        [
            written(record_text.DATABASE_AWAY),
            written(record_text.BEAT_STILL_SILENT),
            written(record_text.WORKERS_SILENT),
            written(record_text.PAUSED_JOB_BY_AT),
        ]
    )

    with translation.override("nb"):
        assert read(cause) == (
            "Databasen, eller hele maskinen, var borte fra 2026-11-21 00:29:58 til 2026-11-21 00:31:02. "
            "Beat var taus fra 2026-11-21 00:29:58 til dette ble skrevet. "
            "Ingen arbeider gjorde noe fra 2026-11-21 00:29:58 til 2026-11-21 00:31:02. "
            "Slått av av olav 2026-11-20 14:00:00: Ferie: vi er tilbake i august. 3 av 4 kan."
        )


def test_the_parts_of_a_list_are_read_one_by_one() -> None:
    deviation = "; ".join(
        [
            record_text.PAUSES_EXPECTED.write(planned=0, expected=40),
            record_text.RESUME_EXPECTED.write(planned=1, expected=31),
            record_text.REMINDERS_EXPECTED.write(planned=900, expected=60),
        ]
    )

    with translation.override("nn"):
        assert read(deviation) == (
            "0 pausar der 40 var venta; 1 oppattaking der 31 var venta; 900 påminningar der 60 var venta"
        )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "paused for the summer",
        "IntegrityError: it is there; paused",
        "He said: The job was switched off.",
        " paused",
    ],
)
def test_what_a_person_or_an_error_says_is_shown_as_it_is(text: str) -> None:
    with translation.override("nb"):
        assert read(text) == text


def test_what_follows_a_phrase_unknown_is_shown_as_it_is() -> None:
    with translation.override("nb"):
        assert read("It was held up. By a snowstorm.") == "Den ble oppholdt. By a snowstorm."


def test_a_text_without_phrases_is_left_alone() -> None:
    assert read_with("Beat was silent.", []) == "Beat was silent."


def test_every_reason_to_leave_a_mentor_alone_has_its_phrase() -> None:
    others = set(Mentor.PauseCause.values) - {Mentor.PauseCause.CERTIFICATION_EXPIRED}

    assert set(LEFT_ALONE) == others | {Mentor.Status.ACTIVE, Mentor.Status.ENDED}
