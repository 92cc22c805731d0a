"""The public page of a chapter: who its mentors are."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.cache import patch_cache_control
from django.views.decorators.http import conditional_page, require_safe

from certifications.coverage import public_names
from mentors.models import Chapter

# A mentor who is paused is gone from the page at once: it is kept, and asked for again each time (mostly a 304). From
# the caches of those who take the list as data, a mentor is gone within a minute.
PAGE: dict[str, Any] = {"public": True, "no_cache": True}
FOR_EVERYBODY: dict[str, Any] = {"public": True, "max_age": 60}


@require_safe
@conditional_page
def chapter_page(_request: HttpRequest, organisation: str, chapter: str) -> HttpResponse:
    """Show the names, in the organisation's language (rule 11)."""
    found = get_object_or_404(Chapter.objects.at(organisation=organisation, chapter=chapter))
    names = public_names(chapter=found, on=found.organisation.local_date(timezone.now()))
    language = found.organisation.language
    with translation.override(language):
        html = render_to_string("certifications/chapter.html", {"chapter": found, "names": names})
    response = HttpResponse(html, headers={"Content-Language": language})
    patch_cache_control(response, **PAGE)
    return response
