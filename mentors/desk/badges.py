"""Words in a coloured frame; the word alone says everything, the colour only helps."""

from __future__ import annotations

from functools import lru_cache

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from mentors.models import Mentor

STATUS_COLOURS = {Mentor.Status.ACTIVE: "success", Mentor.Status.PAUSED: "warning", Mentor.Status.ENDED: ""}


def badge(text: object, *, colour: str = "") -> SafeString:
    """Return the text in a frame: `success`, `warning`, `danger`, `info`, or grey."""
    return _frame(str(text), colour)


@lru_cache(maxsize=1000)
def _frame(text: str, colour: str) -> SafeString:
    """Return it from the template once: a list shows few different ones, and each many times."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour, "class": "desk-badge"})


def status_badge(mentor: Mentor) -> SafeString:
    return badge(mentor.get_status_display(), colour=STATUS_COLOURS[Mentor.Status(mentor.status)])
