"""A mentor's status is changed from what it is said to be, and from nothing else."""

from __future__ import annotations

import pytest

from mentors.models import Mentor, StatusChange
from mentors.record_text import verbatim
from mentors.status import change_status
from tests.conftest import NOW, Enrol

pytestmark = pytest.mark.django_db


def test_who_has_another_status_by_now_is_left_alone_and_nothing_is_logged(enrol: Enrol) -> None:
    active, ended = enrol(), enrol(status="ended")

    changes = change_status(
        {mentor.pk: verbatim("asked to") for mentor in (active, ended)},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.PAUSED,
        cause=Mentor.PauseCause.MANUAL,
        now=NOW,
    )

    assert list(changes) == [active.pk]
    assert list(StatusChange.objects.values_list("mentor", flat=True)) == [active.pk]
    ended.refresh_from_db()
    assert ended.status == Mentor.Status.ENDED
