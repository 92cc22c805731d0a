"""The main pages of the desk, and where they are."""

from __future__ import annotations

from mentors.models import Mentor
from tests.browser.scenes import Scene

PLACES = {
    "home": "/admin/",
    "mentors": "/admin/mentors/mentor/",
    "mentor": "/admin/mentors/mentor/{mentor}/change/",
    "new mentor": "/admin/mentors/mentor/add/",
    "pause": "/admin/mentors/mentor/{mentor}/end/",
    "renew": "/admin/certifications/certification/{certification}/renew/",
    "certifications": "/admin/certifications/certification/",
    "course": "/admin/certifications/certification/course/",
    "import": "/admin/certifications/rosterupload/import/",
    "messages": "/admin/notifications/notification/",
    "runs": "/admin/cronjobs/run/",
    "run": "/admin/cronjobs/run/{run}/change/",
    "schedules": "/admin/cronjobs/cronjob/",
    "schedule": "/admin/cronjobs/cronjob/{job}/change/",
    "organisation": "/admin/mentors/organisation/{organisation}/change/",
    "coordinators": "/admin/mentors/coordinatorrole/",
    "invitations": "/admin/mentors/invitation/",
    "calendar": "/admin/certifications/calendarfeed/",
    "access": "/admin/access/",
    "security": "/admin/mentors/securityevent/",
}


def find_places(scene: Scene) -> dict[str, str]:
    """Return the paths of all pages, by name, for what is in the scene."""
    mentor: Mentor = scene.paused
    ids = {
        "mentor": mentor.pk,
        "certification": mentor.certifications.earliest("pk").pk,
        "run": scene.run.pk,
        "job": scene.job.pk,
        "organisation": mentor.organisation_id,
    }
    return {name: path.format(**ids) for name, path in PLACES.items()}
