"""A schedule in words, in the language of the reader; what is out of the ordinary is said in English."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _

from cronjobs.cron import CronFields, describe_schedule, parse_cron

MOST_TIMES = 4
ALL_MONTHS, ALL_DAYS, ALL_WEEKDAYS = set(range(1, 13)), set(range(1, 32)), set(range(7))


def say_schedule(cron_expression: str) -> str:
    """Say when a normalised expression fires; one that cannot be read stays as it is."""
    try:
        cron = parse_cron(cron_expression)
    except ValidationError:  # an edit past the checks
        return cron_expression
    is_ordinary = cron.months == ALL_MONTHS and len(cron.hours) * len(cron.minutes) <= MOST_TIMES
    return _say_ordinary(cron) if is_ordinary else describe_schedule(cron_expression)


def _say_ordinary(cron: CronFields) -> str:
    times = _join(f"{hour:02}:{minute:02}" for hour in cron.hours for minute in cron.minutes)
    if cron.days_of_month != ALL_DAYS:
        days = _join(str(day) for day in sorted(cron.days_of_month))
        return _("on day %(days)s of every month at %(times)s") % {"days": days, "times": times}
    if cron.days_of_week != ALL_WEEKDAYS:
        names = _join(str(WEEKDAYS[day]) for day in sorted((day - 1) % 7 for day in cron.days_of_week))
        return _("every %(weekdays)s at %(times)s") % {"weekdays": names, "times": times}
    is_at_night = max(cron.hours) < 6
    sentence = _("every night at %(times)s") if is_at_night else _("every day at %(times)s")
    return sentence % {"times": times}


def _join(words: Iterable[str]) -> str:
    *most, last = words
    return _("%(most)s and %(last)s") % {"most": ", ".join(most), "last": last} if most else last
