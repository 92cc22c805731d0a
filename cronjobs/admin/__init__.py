"""The desk for the night: its home page, runs, schedules, and what operations look at."""

from cronjobs.admin import beat, home, runs, schedules, vigil

__all__ = ["beat", "home", "runs", "schedules", "vigil"]
