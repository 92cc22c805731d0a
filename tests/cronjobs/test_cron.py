"""Cron expressions: what may be written, what beat makes of it, and when it fires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from celery.schedules import crontab
from django.core.exceptions import ValidationError
from django_celery_beat.models import CrontabSchedule
from hypothesis import given
from hypothesis import strategies as st

from cronjobs.cron import clock_change_warnings, describe_schedule, next_slots, normalise_cron, parse_cron
from tests.conftest import NOW

# What may be written.


@pytest.mark.parametrize(
    ("expression", "normalised"),
    [
        ("30 0 * * *", "30 0 * * *"),
        ("  30   0 * *  * ", "30 0 * * *"),
        ("07 00 01 * *", "7 0 1 * *"),
        ("*/15 */1 * * *", "*/15 * * * *"),
        ("0,0,30 8-16/2 * * *", "0,30 8-16/2 * * *"),
        # A list with a step is written out: descriptions of such a list are wrong.
        ("*/20,5 1 * * *", "0,5,20,40 1 * * *"),
        # Names, in lists and ranges, in any case.
        ("30 0 * * Mon", "30 0 * * 1"),
        ("30 0 * * MON-fri", "30 0 * * 1-5"),
        ("30 0 1 jan,Jun-aug *", "30 0 1 1,6-8 *"),
        # Sunday is 0 and 7, as cron has it.
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * 2,7", "0 0 * * 0,2"),
        ("0 0 * * 1-7", "0 0 * * *"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 * * 1-7/2", "0 0 * * 0,1,3,5"),
        ("0 0 * * */2", "0 0 * * 0,2,4,6"),
        ("0 0 * * */7", "0 0 * * 0"),
        ("0 0 * * sat-sun", "0 0 * * 0,6"),
        ("0 0 * * sun-tue", "0 0 * * 0-2"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 31 */2 *", "0 0 31 1,3,5,7,9,11 *"),
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_an_expression_is_written_as_beat_is_to_get_it(expression: str, normalised: str) -> None:
    assert normalise_cron(expression) == normalised


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "five fields"),
        ("30 0 * *", "this one has 4"),
        ("30 0 * * * *", "this one has 6"),
        ("60 0 * * *", "“60” is no minute of a cron expression: write 0–59"),
        ("30 24 * * *", "“24” is no hour of a cron expression: write 0–23"),
        ("0 0 0 * *", "“0” is no day of the month of a cron expression: write 1–31"),
        ("0 0 * 13 *", "“13” is no month of a cron expression: write 1–12 or jan"),
        ("0 0 * * 8", "“8” is no day of the week of a cron expression: write 0–7 or sun"),
        ("mon 0 * * *", "“mon” is no minute"),
        ("0 0 1-sun * *", "“sun” is no day of the month"),
        ("0 0 * monday *", "“monday” is no month"),
        ("0 -1 * * *", "“-1” is no hour"),
        ("1,,2 * * * *", "“” is no minute"),
        ("*/5-3 * * * *", "is no minute"),
        ("0 0 L * *", "“l” is no day of the month"),
        ("0 0 ? * *", "“?” is no day of the month"),
        ("0 0 * * 5#2", "“5#2” is no day of the week"),
        ("*/0 * * * *", "step /0 of the minute in a cron expression must be 1–59"),
        ("* */24 * * *", "must be 1–23"),
        ("5/15 * * * *", "write 5-59/15, not 5/15"),
        ("0 22-2 * * *", "write 22-23,0-2"),
        ("0 0 * * fri-mon", "write 5-7,0-1"),
        ("0 0 31 2 *", "never comes"),
        ("30 2 30 2 *", "never comes"),
        ("0 0 31 4,jun,9,11 *", "never comes"),
        ("0 0 1 * 1", "write * for one of them"),
        ("0 0 1-31 * mon", "write * for one of them"),
        ("0 0 1 * 0-7", "write * for one of them"),
        ("@reboot", "@reboot is not a time"),
        ("@fortnightly", "there are @hourly"),
        ("30 0 * * *\n", "plain letters"),
        ("30\t0 * * *", "plain letters"),
        ("30\x00 0 * * *", "plain letters"),
        ("٣٠ 0 * * *", "plain letters"),
        ("30\u00a00 * * *", "plain letters"),
        (f"{'0' * 93} 0 * * *", "at most 100 characters"),
        (f"{'9' * 91} 0 * * *", "is no minute"),
        ("*/2,1 */2,1 */2,1 * *", "at most 100 characters"),
    ],
)
def test_an_expression_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        normalise_cron(expression)

    assert reason in refused.value.message


@given(st.text(max_size=110) | st.text("0123456789*/-, @monjafeb7", max_size=40))
def test_whatever_is_written_is_accepted_or_refused(expression: str) -> None:
    try:
        normalised = normalise_cron(expression)
    except ValidationError:
        return
    assert normalise_cron(normalised) == normalised


# What beat makes of it: each field is made up together with what cron(5) says that it means.

Part = tuple[str, set[int]]


def span(ends: list[int], step: int = 1) -> Part:
    first, last = sorted(ends)
    return f"{first}-{last}" + (f"/{step}" if step > 1 else ""), set(range(first, last + 1, step))


def parts(lowest: int, highest: int) -> st.SearchStrategy[Part]:
    values = st.integers(lowest, highest)
    ends = st.lists(values, min_size=2, max_size=2)
    steps = st.integers(1, highest)
    return st.one_of(
        values.map(lambda value: (str(value), {value})),
        st.builds(span, ends),
        st.builds(span, ends, steps),
        steps.map(lambda step: (f"*/{step}", set(range(lowest, highest + 1, step)))),
    )


def joined(drawn: list[Part]) -> Part:
    return ",".join(text for text, _values in drawn), set().union(*(values for _text, values in drawn))


def every(lowest: int, highest: int) -> st.SearchStrategy[Part]:
    return st.just(("*", set(range(lowest, highest + 1))))


def fields(lowest: int, highest: int) -> st.SearchStrategy[Part]:
    return every(lowest, highest) | st.lists(parts(lowest, highest), min_size=1, max_size=3).map(joined)


times = (fields(0, 59), fields(0, 23))
expressions = st.tuples(*times, fields(1, 31), fields(1, 12), every(0, 7)) | st.tuples(
    *times, every(1, 31), fields(1, 12), fields(0, 7)
)


def accepted(drawn: tuple[Part, ...]) -> str:
    """Return the expression, normalised; have another drawn if it is one that is rightly refused."""
    try:
        return normalise_cron(" ".join(text for text, _values in drawn))
    except ValidationError as error:
        hypothesis.assume("never comes" not in error.message and "at most 100" not in error.message)
        raise


def as_beats_row(expression: str) -> CrontabSchedule:
    minute, hour, day_of_month, month_of_year, day_of_week = expression.split()
    return CrontabSchedule(
        minute=minute, hour=hour, day_of_month=day_of_month, month_of_year=month_of_year, day_of_week=day_of_week
    )


@hypothesis.settings(max_examples=300)
@given(expressions)
def test_beat_accepts_it_and_means_what_cron_means(drawn: tuple[Part, ...]) -> None:
    expression = accepted(drawn)

    as_beats_row(expression).clean_fields()
    cron = parse_cron(expression)

    minutes, hours, days_of_month, months, days_of_week = (values for _text, values in drawn)
    assert (set(cron.minutes), set(cron.hours), cron.days_of_month, cron.months) == (
        minutes, hours, days_of_month, months,
    )  # fmt: skip
    assert cron.days_of_week == {day % 7 for day in days_of_week}
    assert len(expression) <= 100
    assert describe_schedule(expression)


@hypothesis.settings(max_examples=150, deadline=None)
@given(expressions, st.integers(0, 20 * 365 * 24 * 60))
def test_its_slots_are_the_times_at_which_celery_finds_it_due(drawn: tuple[Part, ...], minutes: int) -> None:
    expression = accepted(drawn)
    after = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    minute, hour, day_of_month, month_of_year, day_of_week = expression.split()
    by_celery = crontab(minute, hour, day_of_week, day_of_month, month_of_year)

    found = next_slots(expression, "UTC", after=after, count=20)

    due = [after]
    for _ in range(20):
        last_run_at, delta, _now = by_celery.remaining_delta(due[-1], tz=UTC)
        due.append(last_run_at + delta)
    assert found == due[1:]


# When it fires.


def test_the_next_slots_are_those_of_the_zone() -> None:
    found = next_slots("30 0 * * *", "Europe/Oslo", after=datetime(2027, 3, 26, 23, 30, tzinfo=UTC), count=3)

    assert found == [
        datetime(2027, 3, 27, 23, 30, tzinfo=UTC),
        datetime(2027, 3, 28, 22, 30, tzinfo=UTC),
        datetime(2027, 3, 29, 22, 30, tzinfo=UTC),
    ]


def test_the_next_29_february_may_be_eight_years_away() -> None:
    found = next_slots("0 0 29 2 *", "UTC", after=datetime(2096, 3, 1, tzinfo=UTC))

    assert [slot.year for slot in found] == [2104, 2108, 2112, 2116, 2120]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("30 0 * * *", "at 00:30"),
        ("30 0 * * 1", "at 00:30 on Monday"),
        ("30 0 * * 1-5", "at 00:30, Monday through Friday"),
        ("30 0 * * 0,5,6", "at 00:30 on Sunday, Friday, and Saturday"),
        ("0 6,18 * * *", "at 06:00 and 18:00"),
        ("5 * * * *", "at 5 minutes past the hour"),
        ("0 * * * *", "every hour"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 0 1 1 *", "at 00:00, on day 1 of the month in January"),
    ],
)
def test_a_schedule_is_described_in_words(expression: str, text: str) -> None:
    assert describe_schedule(expression) == text


# What a change of the clocks does.

IN_OSLO = [
    "02:30 does not exist on 2027-03-28 in Europe/Oslo, where the clocks go forward: the job runs once, at 03:30.",
    "02:30 comes twice on 2027-10-31 in Europe/Oslo, where the clocks go back: the job runs once, the first time.",
]


@pytest.mark.parametrize(
    ("expression", "zone", "warnings"),
    [
        ("30 0 * * *", "Europe/Oslo", []),
        ("30 2 * * *", "UTC", []),
        ("30 2 * * *", "Europe/Oslo", IN_OSLO),
        ("30,45 2,12 * * *", "Europe/Oslo", IN_OSLO),
        ("30 2 * 2-4 *", "Europe/Oslo", IN_OSLO[:1]),
        ("30 2 * * 1", "Europe/Oslo", []),
        # Every hour loses nothing.
        ("30 * * * *", "Europe/Oslo", []),
    ],
)
def test_a_time_that_a_clock_change_skips_or_repeats_is_warned_of_once(
    expression: str, zone: str, warnings: list[str]
) -> None:
    assert [said.in_english() for said in clock_change_warnings(expression, zone, now=NOW)] == warnings


@pytest.mark.parametrize(
    ("expression", "zone", "said"),
    [
        # Forward at midnight.
        ("0 0 * * *", "America/Havana", ["00:00 does not exist on 2027-03-14", "00:00 comes twice on 2027-11-07"]),
        ("30 0 * * *", "Asia/Beirut", ["00:30 does not exist on 2027-03-28"]),
        # Back at midnight, into the day before.
        ("30 23 * * *", "Asia/Beirut", ["23:30 comes twice on 2027-10-30"]),
        # By half an hour.
        ("15 2 * * *", "Australia/Lord_Howe", ["02:15 does not exist on 2027-10-03"]),
    ],
)
def test_zones_that_change_at_midnight_or_by_half_an_hour_are_understood(
    expression: str, zone: str, said: list[str]
) -> None:
    warnings = clock_change_warnings(expression, zone, now=NOW)

    assert [warning.in_english().partition(" in ")[0] for warning in warnings] == said


def test_a_repeated_hour_that_begins_before_midnight_and_ends_after_it_is_found() -> None:
    warnings = clock_change_warnings("30 23 * * *", "America/Goose_Bay", now=datetime(2009, 6, 1, tzinfo=UTC))

    assert any(warning.in_english().startswith("23:30 comes twice on 2009-10-31") for warning in warnings)
