"""The desk for the night: its home page, runs, schedules, and what operations look at."""

from cronjobs.admin import beat, home, monitoring, runs, schedules, third_party

__all__ = ["beat", "home", "monitoring", "runs", "schedules", "third_party"]
