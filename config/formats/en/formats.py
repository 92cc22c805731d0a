"""Dates in English as nobody in Norway reads them wrong: 11/12/2026 is two days, 12 Nov 2026 is one."""

SHORT_DATE_FORMAT = "j M Y"
SHORT_DATETIME_FORMAT = "j M Y H:i"
DATETIME_FORMAT = "N j, Y, H:i"
TIME_FORMAT = "H:i"
FIRST_DAY_OF_WEEK = 1
