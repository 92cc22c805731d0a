"""The state of a certification in a coloured frame."""

from __future__ import annotations

from django.utils.safestring import SafeString

from certifications.states import State
from mentors.desk.badges import badge

STATE_COLOURS = {
    State.VALID: "success",
    State.EXPIRING: "warning",
    State.EXPIRED: "danger",
    State.REVOKED: "danger",
    State.UPCOMING: "info",
}


def state_badge(state: State) -> SafeString:
    return badge(state.label, colour=STATE_COLOURS[state])
