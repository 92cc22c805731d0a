"""Cron expressions: what may be written, when it fires, and what a change of the clocks does to it.

Beat reads them with Celery, and a person writes them as cron(5) does; `normalise_cron` lets pass only what both, and
django-celery-beat's own checks, understand alike.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, product
from typing import Any

from celery.schedules import ParseException, crontab, crontab_parser
from cron_descriptor import Options, get_description
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy
from django_stubs_ext import StrPromise

from cronjobs import record_text
from mentors.record_text import EMPTY, RecordText

MAX_LENGTH = 100
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
DAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LAST_DAYS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
# One part of a list: *, a value or a range; then perhaps a step.
PART = re.compile(r"(?:\*|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:/([0-9]+))?")
# 29 February may be eight years away: there is none in 2100.
LOOK_AHEAD = timedelta(days=8 * 366)
CLOCK_CHANGES_AHEAD = timedelta(days=2 * 366)


@dataclass(frozen=True)
class Field:
    """One of the five fields: its name, its lowest and highest value, and the names it knows."""

    name: StrPromise
    lowest: int
    highest: int
    names: tuple[str, ...] = ()  # of its values, from the lowest

    def values(self, text: str) -> set[int]:
        """Expand the field with beat's own parser."""
        values: set[int] = crontab_parser(self.highest - self.lowest + 1, self.lowest).parse(text)
        return values


MINUTE = Field(pgettext_lazy("cron field", "minute"), 0, 59)
HOUR = Field(pgettext_lazy("cron field", "hour"), 0, 23)
DAY_OF_MONTH = Field(pgettext_lazy("cron field", "day of the month"), 1, 31)
MONTH = Field(pgettext_lazy("cron field", "month"), 1, 12, MONTH_NAMES)
DAY_OF_WEEK = Field(pgettext_lazy("cron field", "day of the week"), 0, 7, DAY_NAMES)  # Sunday at both ends
FIELDS = (MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK)


@dataclass(frozen=True, kw_only=True)
class CronFields:
    """When a cron expression fires, as beat reads it: every field must match. Sunday is 0."""

    minutes: list[int]
    hours: list[int]
    days_of_month: set[int]
    months: set[int]
    days_of_week: set[int]

    def fires_on(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days_of_month and day.isoweekday() % 7 in self.days_of_week


def normalise_cron(expression: str) -> str:
    """Return the expression as beat is to get it: five fields of numbers, Sunday as 0, single spaces.

    Raises ValidationError, which says what is wrong and what to write instead.
    """
    texts = _split(expression)
    written = [_normalise_field(field, text) for field, text in zip(FIELDS, texts, strict=True)]
    if texts[2] != "*" and texts[4] != "*":
        raise ValidationError(
            _(
                "A cron expression that names days of the month and days of the week is read in two ways, as “or” by "
                "cron and as “and” by Celery: write * for one of them."
            )
        )
    first_day, months = min(DAY_OF_MONTH.values(written[2])), MONTH.values(written[3])
    if all(first_day > LAST_DAYS.get(month, 31) for month in months):
        raise ValidationError(_("This date never comes: no month of the cron expression has such a day."))
    normalised = " ".join(written)
    _refuse_if_too_long(normalised)
    return normalised


def _split(expression: str) -> list[str]:
    _refuse_if_too_long(expression)
    if not (expression.isascii() and expression.isprintable()):
        raise ValidationError(_("A cron expression is written with plain letters, digits and spaces only."))
    text = expression.strip().lower()
    if text == "@reboot":
        raise ValidationError(_("@reboot is not a time: write five fields of a cron expression, such as 30 0 * * *."))
    if text.startswith("@") and text not in ALIASES:
        raise ValidationError(
            _("“%(text)s” is not a cron expression: of those with an @ there are %(aliases)s.")
            % {"text": text, "aliases": ", ".join(ALIASES)}
        )
    texts = ALIASES.get(text, text).split()
    if len(texts) != len(FIELDS):
        raise ValidationError(
            _(
                "A cron expression has five fields (minute, hour, day of the month, month, day of the week), this one "
                "has %(count)s: write it like 30 0 * * *."
            )
            % {"count": len(texts)}
        )
    return texts


def _refuse_if_too_long(expression: str) -> None:
    if len(expression) > MAX_LENGTH:
        raise ValidationError(
            _("A cron expression has at most %(limit)s characters: use ranges and steps.") % {"limit": MAX_LENGTH}
        )


def _normalise_field(field: Field, text: str) -> str:
    parts = [_normalise_part(field, part) for part in text.split(",")]
    if field is DAY_OF_WEEK:
        return _write_values({day % 7 for day in field.values(",".join(parts))}, of=7)
    if field is MONTH or (len(parts) > 1 and any("*" in part or "/" in part for part in parts)):
        return _write_values(field.values(",".join(parts)), of=field.highest - field.lowest + 1)
    return ",".join(dict.fromkeys(parts))


def _normalise_part(field: Field, part: str) -> str:
    match = PART.fullmatch(part)
    if not match:
        raise ValidationError(
            _(
                "“%(text)s” is no %(field)s of a cron expression: write *, a number, a range such as %(range)s, a step "
                "such as */2, or a list of these."
            )
            % {"text": part, "field": field.name, "range": f"{field.lowest}-{field.lowest + 2}"}
        )
    first, last, step = match.groups()
    if step and not 1 <= int(step) <= field.highest:
        raise ValidationError(
            _("The step /%(step)s of the %(field)s in a cron expression must be 1–%(highest)s.")
            % {"step": step, "field": field.name, "highest": field.highest}
        )
    if first and step and not last:
        raise ValidationError(
            _("A step in a cron expression needs a range: write %(right)s, not %(text)s.")
            % {"right": f"{first}-{field.highest}/{step}", "text": part}
        )
    return _write_range(field, first, last) + (f"/{int(step)}" if step and int(step) > 1 else "")


def _write_range(field: Field, first: str | None, last: str | None) -> str:
    if first is None:
        return "*"
    start = _value(field, first)
    if last is None:
        return str(start)
    end = _value(field, last)
    if field is DAY_OF_WEEK and start > end == 0:
        end = 7  # a range that ends on Sunday: sat-sun
    if end < start:
        raise ValidationError(
            _("A range of the %(field)s in a cron expression goes upwards, %(text)s does not: write %(right)s.")
            % {
                "field": field.name,
                "text": f"{first}-{last}",
                "right": f"{start}-{field.highest},{field.lowest}-{end}",
            }
        )
    return f"{start}-{end}"


def _value(field: Field, text: str) -> int:
    if text in field.names:
        return field.lowest + field.names.index(text)
    if text.isdigit() and field.lowest <= int(text) <= field.highest:
        return int(text)
    sentence = (
        _("“%(text)s” is no %(field)s of a cron expression: write %(range)s or %(names)s.")
        if field.names
        else _("“%(text)s” is no %(field)s of a cron expression: write %(range)s.")
    )
    facts = {"text": text, "field": field.name, "range": f"{field.lowest}–{field.highest}"}
    raise ValidationError(sentence % {**facts, "names": ", ".join(field.names)})


def _write_values(values: set[int], *, of: int) -> str:
    """Write the values in order, three or more in a row as a range, all that there are as *."""
    if len(values) == of:
        return "*"
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def parse_cron(expression: str) -> CronFields:
    """Read the five fields with beat's own parser. Raises ValidationError with the reason.

    In English, as all that operations read: what is stored has passed `normalise_cron`, unless somebody went past it.
    """
    fields = expression.split()
    if len(fields) != 5:
        raise ValidationError(f"A cron expression has five fields, “{expression}” has {len(fields)}.")
    minute, hour, day_of_month, month_of_year, day_of_week = fields
    try:
        parsed: Any = crontab(
            minute=minute,
            hour=hour,
            day_of_month=day_of_month,
            month_of_year=month_of_year,
            day_of_week=day_of_week,
        )
    except (ParseException, ValueError) as error:
        raise ValidationError(f"“{expression}” is not a cron expression: {error}") from error
    return CronFields(
        minutes=sorted(parsed.minute),
        hours=sorted(parsed.hour),
        days_of_month=parsed.day_of_month,
        months=parsed.month_of_year,
        days_of_week=parsed.day_of_week,
    )


def slots(cron_expression: str, timezone: str, *, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the slots with after < slot ≤ until, oldest first, in UTC.

    A local time that a clock change skips moves forward by the gap; one that it repeats counts once, the first time.
    """
    cron = parse_cron(cron_expression)
    zone = zoneinfo.ZoneInfo(timezone)
    day, last_day = after.astimezone(zone).date() - timedelta(days=1), until.astimezone(zone).date()
    while day <= last_day:
        if cron.fires_on(day):
            # A skipped time may fall on one that the job names as well, and past another: each moment once, in order.
            moments = {
                datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)
                for hour, minute in product(cron.hours, cron.minutes)
            }
            yield from (slot for slot in sorted(moments) if after < slot <= until)
        day += timedelta(days=1)


def latest_slot(cron_expression: str, timezone: str, *, now: datetime) -> datetime | None:
    """Return the newest slot that has come, looking back at most two days."""
    return max(slots(cron_expression, timezone, after=now - timedelta(days=2), until=now), default=None)


def next_slots(cron_expression: str, timezone: str, *, after: datetime, count: int = 5) -> list[datetime]:
    """Return the coming slots in UTC, soonest first."""
    return list(islice(slots(cron_expression, timezone, after=after, until=after + count * LOOK_AHEAD), count))


@lru_cache(maxsize=1000)
def describe_schedule(cron_expression: str) -> str:
    """Say in English when a normalised expression fires: “at 00:30 on Monday”."""
    options = Options()
    options.locale_code = "en_US"
    options.use_24hour_time_format = True
    text: str = get_description(cron_expression, options)
    text = text.replace(", only on ", " on ").replace(", only in ", " in ")
    return text[0].lower() + text[1:]


def clock_change_warnings(cron_expression: str, timezone: str, *, now: datetime) -> list[RecordText]:
    """Say which time a clock change of the coming two years skips, and which it repeats: the first of each kind.

    A job of every hour loses nothing by either.
    """
    cron = parse_cron(cron_expression)
    zone = zoneinfo.ZoneInfo(timezone)
    warnings: dict[str, RecordText] = {}
    for day in _clock_changes(timezone, now.astimezone(zone).date()) if len(cron.hours) < 24 else ():
        for hour, minute in product(cron.hours, cron.minutes) if cron.fires_on(day) else ():
            kind, warning = _what_happens_to(datetime.combine(day, time(hour, minute), zone), timezone)
            warnings.setdefault(kind, warning)
    return [warnings[kind] for kind in ("skipped", "repeated") if kind in warnings]


@lru_cache(maxsize=100)
def _clock_changes(timezone: str, today: date) -> tuple[date, ...]:
    """Return the days on which the clocks change, be it at midnight."""
    zone = zoneinfo.ZoneInfo(timezone)
    changes = []
    for ahead in range(CLOCK_CHANGES_AHEAD.days):
        day = today + timedelta(days=ahead)
        begins = datetime.combine(day, time(), zone)
        ends = datetime.combine(day + timedelta(days=1), time(fold=1), zone)
        if begins.utcoffset() != ends.utcoffset():
            changes.append(day)
    return tuple(changes)


def _what_happens_to(local: datetime, timezone: str) -> tuple[str, RecordText]:
    """Return whether the time is skipped, repeated or neither, and the warning of it."""
    fires_at = local.astimezone(UTC)
    otherwise_at = local.replace(fold=1).astimezone(UTC)
    if fires_at > otherwise_at:
        moved = fires_at.astimezone(local.tzinfo)
        said = record_text.TIME_SKIPPED(time=f"{local:%H:%M}", day=local.date(), zone=timezone, moved=f"{moved:%H:%M}")
        return "skipped", said
    if fires_at < otherwise_at:
        return "repeated", record_text.TIME_REPEATED(time=f"{local:%H:%M}", day=local.date(), zone=timezone)
    return "neither", EMPTY
