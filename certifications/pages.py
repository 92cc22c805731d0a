"""What is looked at without a login: the public page of a chapter, a coordinator's calendar, and robots.txt."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from django.views.decorators.http import conditional_page, require_safe

from certifications.coverage import find_public_list
from certifications.ical import build_calendar, find_feed_owner
from mentors.models import LANGUAGES, Chapter, Organisation
from mentors.rest.throttles import throttled

# A mentor who is paused is gone from the page at once: it is kept, and asked for again each time (mostly a 304). From
# the caches of those who take the list as data, a mentor is gone within a minute.
PAGE: dict[str, Any] = {"public": True, "no_cache": True}
FOR_EVERYBODY: dict[str, Any] = {"public": True, "max_age": 60}
UNTIL_TOMORROW: dict[str, Any] = {"public": True, "max_age": 24 * 3600}
POLICY = "default-src 'none'; style-src '{style}'; base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
# Engines are let in to the public pages, or they could not read there that they are to forget them.
ROBOTS = """\
User-agent: *
Disallow: /a/
Disallow: /admin/
Disallow: /api/
Disallow: /c/
Disallow: /p/
"""


@throttled
@require_safe
def chapter_page(request: HttpRequest, organisation: str, chapter: str) -> HttpResponseBase:
    """Show the names, as of today (rule 11), in the organisation's language or in the one that is asked for."""
    found = get_object_or_404(Chapter.objects.at(organisation=organisation, chapter=chapter))
    on = found.organisation.local_date(timezone.now())
    shown = find_public_list(chapter=found, on=on)
    asked = request.GET.get("language", "")
    language = asked if asked in dict(LANGUAGES) else found.organisation.language
    context = {"chapter": found, "shown": shown, "on": on, "language": language, "style": _style()[0]}
    with translation.override(language):
        html = render_to_string("certifications/chapter.html", context | _addresses(request, found.organisation))
    # Its own style and nothing else, in frames of the sites that the organisation names.
    frames = " ".join(("'self'", *found.organisation.embed_on)) if found.organisation.embed_on else "'none'"
    headers = {
        "Content-Language": language,
        "Content-Security-Policy": POLICY.format(style=_style()[1], frames=frames),
        # A copy that an engine keeps would outlive a pause.
        "X-Robots-Tag": "noarchive" if shown.is_searchable else "noindex",
    }
    return _answer(request, html, headers, may_be_framed=bool(found.organisation.embed_on))


@throttled
@require_safe
@conditional_page
def calendar_feed(_request: HttpRequest, token: str) -> HttpResponse:
    """Give the calendar of whose address it is; programs ask for it every few hours, and mostly get a 304."""
    owner = find_feed_owner(token)
    if owner is None:
        raise Http404
    calendar = build_calendar(owner, now=timezone.now())
    headers = {"X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}
    return HttpResponse(calendar, content_type="text/calendar; charset=utf-8", headers=headers)


@require_safe
def robots(_request: HttpRequest) -> HttpResponse:
    """Keep search engines away from everything but the public pages, which say themselves what may be found."""
    response = HttpResponse(ROBOTS, content_type="text/plain; charset=utf-8")
    patch_cache_control(response, **UNTIL_TOMORROW)
    return response


def _addresses(request: HttpRequest, organisation: Organisation) -> dict[str, Any]:
    """Return where the page is in each language: as it is reached here, and for others whole, from the service's."""
    queries = {code: "" if code == organisation.language else f"?language={code}" for code, _name in LANGUAGES}
    return {
        "path": request.path,
        "site": settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}",
        "languages": [{"code": code, "name": name, "query": queries[code]} for code, name in LANGUAGES],
    }


@cache
def _style() -> tuple[str, str]:
    """Return the page's style and its hash: a nonce would make the page another one at every look."""
    style = render_to_string("certifications/chapter.css")
    digest = hashlib.sha256(style.encode()).digest()
    return style, f"sha256-{base64.b64encode(digest).decode()}"


def _answer(request: HttpRequest, html: str, headers: dict[str, str], *, may_be_framed: bool) -> HttpResponseBase:
    """Answer with the page, or 304 if it is at hand: with these headers, for what a browser keeps is all of it.

    Who may show the page in a frame is part of its version. Else a 304 would leave a browser with the old policy.
    """
    version = hashlib.sha256("\n".join([html, *headers.values()]).encode()).hexdigest()
    page = HttpResponse(html, headers={"ETag": quote_etag(version)})
    answer: Any = get_conditional_response(request, etag=page["ETag"], response=page) or page
    for name, value in headers.items():
        answer[name] = value
    answer.xframe_options_exempt = may_be_framed  # X-Frame-Options knows no list of sites; the policy does
    patch_cache_control(answer, **PAGE)
    return answer  # type: ignore[no-any-return]
