"""One's own access: the sessions, tokens and calendar that let in, each of which is ended here."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from knox.models import AuthToken

from certifications.ical import revoke_feed
from certifications.models import CalendarFeed
from mentors.accounts.access import end_all_access
from mentors.accounts.security_trail import Kind, record_event
from mentors.accounts.sessions import find_sessions
from mentors.desk.scoped import actor_of


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show what lets in to the user's account. Nothing on the page would let anybody in."""
    user, now = actor_of(request), timezone.now()
    context = admin.site.each_context(request) | {
        "title": _("Where you are logged in"),
        "sessions": find_sessions(user, now=now),
        "this": request.session.session_key,
        "tokens": AuthToken.objects.filter(user=user, expiry__gt=now).order_by("-created"),
        "feed": CalendarFeed.objects.filter(user=user).first(),
    }
    return TemplateResponse(request, "desk/own_access.html", context)


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    """End what the button names, or everything but the session of this page. What is gone already is no error."""
    user = actor_of(request)
    if "session" in request.POST:
        for session in user.sessions.all():
            if session.reference == request.POST["session"]:
                session.delete()
                record_event(Kind.SESSION_ENDED, user=user)
        messages.success(request, _("That browser is logged out."))
    elif "token" in request.POST:
        AuthToken.objects.filter(user=user, token_key=request.POST["token"]).delete()
        messages.success(request, _("The token lets nobody in any more."))
    elif "calendar" in request.POST:
        revoke_feed(user)
        messages.success(request, _("The address is revoked. Calendars that had it get nothing any more."))
    elif "everything" in request.POST:
        end_all_access(user)
        record_event(Kind.ACCESS_ENDED, user=user)
        update_session_auth_hash(request, user)
        messages.success(request, _("Everything has ended but this browser’s login."))
    return HttpResponseRedirect(reverse("own_access"))
