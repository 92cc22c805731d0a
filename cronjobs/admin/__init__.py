"""The desk for the night: its home page, runs, schedules, and what operations look at."""

from cronjobs.admin import beat, home, others, runs, schedules, vigil

__all__ = ["beat", "home", "others", "runs", "schedules", "vigil"]
