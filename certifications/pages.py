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

# A mentor who is paused, or has asked not to be listed, is gone from every cache within a minute.
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
    patch_cache_control(response, **FOR_EVERYBODY)
    return response
