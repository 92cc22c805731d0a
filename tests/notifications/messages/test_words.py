"""The words of the messages: what they say of days, and how they count."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from notifications.links import Links
from notifications.messages.context import NotificationEvent
from notifications.messages.render import render_message
from notifications.messages.samples import BERGEN, OSLO
from notifications.models import Answer
from notifications.rendered_message import BulletList, LinkList, RenderedMessage, as_text
from tests.conftest import TODAY
from tests.support.messages import LANGUAGES, happened, reminder, sample


def write(slug: str, *told: NotificationEvent, language: str = "en", **fields: Any) -> RenderedMessage:
    """Write the sample with other happenings."""
    return render_message(replace(sample(slug, language), events=list(told), **fields))


def section(rendered: RenderedMessage, heading: str) -> tuple[str, ...]:
    [items] = [block.items for block in rendered.blocks if isinstance(block, BulletList) and block.heading == heading]
    return items


def said(rendered: RenderedMessage) -> str:
    return " ".join(as_text(rendered).split())


@pytest.mark.parametrize(
    ("expires_in", "nb", "nn", "en"),
    [
        (-2, "Kurs gikk ut for 2 dager siden", "Kurs gjekk ut for 2 dagar sidan", "Kurs expired 2 days ago"),
        (-1, "Kurs gikk ut i går", "Kurs gjekk ut i går", "Kurs expired yesterday"),
        (0, "Kurs går ut i dag", "Kurs går ut i dag", "Kurs expires today"),
        (1, "Kurs går ut i morgen", "Kurs går ut i morgon", "Kurs expires tomorrow"),
        (2, "Kurs går ut om 2 dager", "Kurs går ut om 2 dagar", "Kurs expires in 2 days"),
        (30, "Kurs går ut om 30 dager", "Kurs går ut om 30 dagar", "Kurs expires in 30 days"),
    ],
)
def test_the_days_that_are_left_are_counted_when_it_is_read(expires_in: int, nb: str, nn: str, en: str) -> None:
    subjects = {
        language: write("one-reminder", happened(reminder(expires_in)), language=language).subject
        for language in LANGUAGES
    }

    assert subjects == {"nb": nb, "nn": nn, "en": en}


def test_a_reminder_that_waited_says_the_days_of_its_delivery_and_not_of_its_stage() -> None:
    rendered = write("one-reminder", happened(reminder(7)), today=TODAY + timedelta(days=3))

    assert rendered.subject == "Kurs expires in 4 days"


@pytest.mark.parametrize(
    ("language", "day"), [("nb", "1. desember 2026"), ("nn", "1. desember 2026"), ("en", "Dec. 1, 2026")]
)
def test_a_date_is_written_in_the_readers_language(language: str, day: str) -> None:
    rendered = write("one-reminder", happened(reminder(10)), language=language)

    assert f"({day})" in said(rendered)


def test_a_mentor_reads_first_of_the_pause_then_of_the_resume_then_of_what_expires_the_soonest_first() -> None:
    told = [
        happened(reminder(30, name="Late", pk=1)), happened({"kind": "resume", "types": ""}),
        happened(reminder(7, name="Soon", pk=2)), happened({"kind": "pause", "types": "kurs", "names": ["Kurs"]}),
    ]  # fmt: skip

    rendered = write("one-reminder", *told)

    text = said(rendered)
    assert rendered.subject == "You are paused as a mentor"
    places = [text.index(words) for words in ("You are paused", "The pause is over", "Soon expires", "Late expires")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("others", "nb", "en"),
    [
        (1, "Kurs går ut om 7 dager, og 1 sertifisering til går snart ut",
         "Kurs expires in 7 days, and 1 more certification soon"),
        (2, "Kurs går ut om 7 dager, og 2 sertifiseringer til går snart ut",
         "Kurs expires in 7 days, and 2 more certifications soon"),
    ],
)  # fmt: skip
def test_a_subject_says_how_many_more_expire(others: int, nb: str, en: str) -> None:
    told = [happened(reminder(7)), *(happened(reminder(20 + pk, pk=pk)) for pk in range(others))]

    assert write("one-reminder", *told, language="nb").subject == nb
    assert write("one-reminder", *told, language="en").subject == en


def test_who_was_paused_by_a_coordinator_is_told_so() -> None:
    rendered = write("paused-by-a-person", happened({"kind": "pause", "types": "", "names": []}, pause_cause="manual"))

    assert "A coordinator has paused you as a mentor in HLF." in said(rendered)
    assert "Agree with your coordinator on how the pause can end." in said(rendered)


def test_only_what_has_expired_is_said_to_end_by_itself() -> None:
    facts = {"kind": "pause", "types": "kurs", "names": ["Kurs"]}

    expired = write("paused", happened(facts, pause_cause="certification_expired"))
    revoked = write("paused", happened(facts, pause_cause="certification_revoked"))

    assert "you are active again" in said(expired)
    assert "you are active again" not in said(revoked)


def test_nobody_who_is_not_listed_is_said_to_be_shown_again() -> None:
    resumed = {"kind": "resume", "types": ""}

    assert "public page" in said(write("resumed", happened(resumed, listed=True)))
    assert "public page" not in said(write("resumed", happened(resumed, listed=False)))


def test_an_old_row_without_names_says_the_codes() -> None:
    rendered = write("paused", happened({"kind": "pause", "types": "kurs,taushet"}))

    assert "not valid any more: kurs and taushet." in said(rendered)


def test_a_reminder_ends_with_one_link_for_each_answer() -> None:
    rendered = render_message(sample("one-reminder"))

    asked = rendered.blocks[-1]
    assert isinstance(asked, LinkList)
    assert [link.label for link in asked.links] == ["I am renewing", "I am stopping", "I need help"]
    assert [link.url.rpartition("/")[2] for link in asked.links] == Answer.Choice.values


def test_a_reminder_without_links_leads_to_the_coordinator() -> None:
    rendered = write("one-reminder", happened(reminder(7)), links=Links())

    assert "Contact your coordinator." in said(rendered)
    assert rendered.short == "HLF: Kurs expires in 7 days. Please tell your coordinator whether you renew."


@pytest.mark.parametrize(
    ("count", "nb", "nn", "en"),
    [
        (1, "1 likeperson er satt på pause", "1 likeperson er sett på pause", "1 mentor is paused"),
        (2, "2 likepersoner er satt på pause", "2 likepersonar er sette på pause", "2 mentors are paused"),
    ],
)
def test_a_summary_counts_in_the_right_number(count: int, nb: str, nn: str, en: str) -> None:
    told = [
        happened({"kind": "pause", "types": "kurs", "names": ["Kurs"]}, name=f"M {pk}", pk=pk) for pk in range(count)
    ]

    for language, heading in {"nb": nb, "nn": nn, "en": en}.items():
        assert len(section(write("summary-of-a-night", *told, language=language), heading)) == count


def test_a_summary_names_in_its_subject_what_there_is() -> None:
    told = [
        happened({"kind": "pause", "types": ""}), happened({"kind": "pause", "types": ""}, name="Arne Dal", pk=2),
        happened(reminder(7)), happened({"kind": "handover"}),
    ]  # fmt: skip

    night, week = (write(slug, *told, language="nb") for slug in ("summary-of-a-night", "summary-of-a-week"))

    assert night.subject == "Natten: 2 satt på pause, 1 sertifisering går snart ut"
    assert week.subject == "Uken: 2 satt på pause, 1 sertifisering går snart ut"


def test_a_summary_says_the_soonest_first_and_the_same_expiry_once() -> None:
    told = [
        happened(reminder(14), name="Arne Dal", pk=2), happened(reminder(7)),
        happened(reminder(7) | {"stage": 7}),
    ]  # fmt: skip

    rendered = write("summary-of-a-week", *told)

    assert section(rendered, "2 certifications expire soon") == (
        "Liv Moe (Oslo): Kurs expires in 7 days (Nov. 28, 2026)",
        "Arne Dal (Oslo): Kurs expires in 14 days (Dec. 5, 2026)",
    )


def test_a_summary_of_two_hundred_pauses_is_one_line_each() -> None:
    facts = {"kind": "pause", "types": "kurs", "names": ["Kurs"]}
    told = [happened(facts, name=f"Mentor {pk}", pk=pk) for pk in range(200)]

    text = as_text(write("summary-of-a-night", *told, stand_ins={}))

    assert len(re.findall(r"^- Mentor \d+ \(Oslo\): Kurs$", text, re.MULTILINE)) == 200
    assert len(text.splitlines()) < 225


def test_a_summary_names_by_chapter_who_may_take_over() -> None:
    facts = {"kind": "pause", "types": ""}
    told = [happened(facts), happened(facts, name="Arne Dal", pk=2, chapter=BERGEN)]

    rendered = write("summary-of-a-night", *told, stand_ins={OSLO.pk: ["Guro Aas", "Jon Eide"]})

    assert section(rendered, "Who may take over") == (
        "Bergen: nobody else has everything in order now",
        "Oslo: Guro Aas and Jon Eide",
    )


@pytest.mark.parametrize(("failed", "sentence"), [(1, "1 item failed."), (2, "2 items failed.")])
def test_a_failed_run_counts_what_failed(failed: int, sentence: str) -> None:
    message = sample("run-has-failed")
    message.notification.context = {"failed": failed}

    assert sentence in said(render_message(message))


def test_a_run_that_failed_as_a_whole_counts_nothing() -> None:
    message = sample("run-has-failed")
    message.notification.context = {"failed": 0}

    assert "0" not in said(render_message(message)).replace(str(message.notification.run_id), "")


@pytest.mark.parametrize("choice", Answer.Choice)
def test_an_answer_is_told_in_the_words_of_the_link(choice: Answer.Choice) -> None:
    rendered = render_message(sample(f"answer-{choice}", "nn"))

    assert {"renewing": "«Eg fornyar»", "stopping": "«Eg sluttar»", "help": "«Eg treng hjelp»"}[choice] in said(
        rendered
    )


def test_a_mentor_with_nothing_to_answer_any_more_is_not_asked_to() -> None:
    rendered = write("resumed-and-reminded", happened({"kind": "resume", "types": ""}))

    assert rendered.short == "HLF: The pause is over: you are active as a mentor again."
    assert not [block for block in rendered.blocks if isinstance(block, LinkList)]
