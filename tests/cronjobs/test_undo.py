"""Undoing a night that worked on wrong dates (docs/rules.md, one night)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from certifications.mentor_status import end_mentor
from certifications.recording import change_certification
from cronjobs.undo import undo_pauses
from mentors.models import Mentor, Organisation, StatusChange, User
from mentors.record_text import verbatim
from notifications.models import Notification
from tests.conftest import Certify, Enrol
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db


def test_everybody_whom_the_run_paused_is_active_again(
    hlf: Organisation, enrol: Enrol, certify: Certify, olav: User, today: date, now: datetime
) -> None:
    mentors = [enrol(), enrol()]
    for mentor in mentors:
        certify(mentor, expires_in=-1)
    run = run_night(hlf, today)

    undone = undo_pauses(run.pk, reason="Wrong dates were imported", actor=olav, now=now)

    assert undone == {mentor.pk for mentor in mentors}
    assert set(Mentor.objects.values_list("status", flat=True)) == {"active"}
    changes = StatusChange.objects.filter(to_status="active")
    assert set(changes.values_list("reason", "actor")) == {(verbatim("Wrong dates were imported"), olav.pk)}
    assert Notification.objects.filter(kind="resume", recipient_user=olav).count() == 2


def test_it_is_done_once(
    hlf: Organisation, mentor: Mentor, certify: Certify, olav: User, today: date, now: datetime
) -> None:
    certify(mentor, expires_in=-1)
    run = run_night(hlf, today)
    undo_pauses(run.pk, reason="Wrong", actor=olav, now=now)

    assert undo_pauses(run.pk, reason="Wrong", actor=olav, now=now) == set()


def test_whoever_has_changed_since_is_left_alone(
    hlf: Organisation, enrol: Enrol, certify: Certify, olav: User, today: date, now: datetime
) -> None:
    renewed, ended = enrol(), enrol()
    certification = certify(renewed, expires_in=-1)
    certify(ended, expires_in=-1)
    run = run_night(hlf, today)
    change_certification(certification, expires_on=today + timedelta(days=9), now=now)
    end_mentor(ended, reason="Moved", actor=olav, now=now)

    assert undo_pauses(run.pk, reason="Wrong", actor=olav, now=now) == set()


def test_the_next_night_pauses_again_who_is_still_not_covered(
    hlf: Organisation, mentor: Mentor, certify: Certify, olav: User, today: date, now: datetime
) -> None:
    certify(mentor, expires_in=-1)
    undo_pauses(run_night(hlf, today).pk, reason="Wrong", actor=olav, now=now)

    again = run_night(hlf, today)

    assert again.counts["pause"]["done"] == 1
