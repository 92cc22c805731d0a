"""The pages behind the links in messages: a mentor's answer to a reminder, and how a coordinator wants to be told.

Nobody logs in there. The signed token of a link (notifications/signing.py) says whose it is and what it may do, so no
cookie is set and none is asked for. Opening a page changes nothing, because programs that look for harm in mail open
every link; only a button does.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from django.db.models import Value
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from certifications.coverage import lapsed_types
from certifications.models import Certification
from certifications.states import calendar_of
from mentors.models import LANGUAGES, Mentor
from mentors.rest.throttles import throttled
from notifications.answers import find_reminders, may_answer, record_answer
from notifications.links import ANSWER, PREFERENCE
from notifications.models import Answer, Notification, Preference
from notifications.preferences import EffectivePreference, choose, find_chosen, stop_summaries
from notifications.signing import LinkExpired, LinkInvalid, read_id

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # whoever has the address may answer
    "X-Robots-Tag": "noindex",
}
CONTENT = "default-src 'none'; style-src 'nonce-{}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
METHODS = ["GET", "HEAD", "POST"]
# The empty choice: as the organisation chose.
MAILS = [("", ""), *Preference.Mail.choices]
READABLE = [("", ""), *LANGUAGES]


class SeeOther(HttpResponseRedirect):
    status_code = 303


@dataclass(frozen=True, kw_only=True)
class Reminder:
    """A reminder whose link was opened, and the mentor who got it."""

    notification: Notification
    mentor: Mentor
    token: str

    def url(self, *choice: str) -> str:
        return reverse("answer", args=[self.token, *choice])

    def links(self, choices: Iterable[str]) -> list[dict[str, Any]]:
        return [{"value": choice, "label": Answer.Choice(choice).label, "url": self.url(choice)} for choice in choices]

    def page(self, name: str, **context: Any) -> HttpResponse:
        organisation = self.notification.organisation.name
        return _page(name, language=self.mentor.language, organisation=organisation, **context)


@dataclass(frozen=True, kw_only=True)
class UnrenewedCertification:
    """A certification of a reminder that is not renewed yet."""

    name: str
    expires_on: date
    has_expired: bool
    lapses_on: date


# There is no cookie by which another site could act for somebody, so there is nothing that a CSRF token would protect.
# It could not be checked either: by our Referrer-Policy a browser does not say where a form comes from.
@csrf_exempt
@throttled
@require_http_methods(METHODS)
def answer_page(request: HttpRequest, token: str, choice: str = "") -> HttpResponse:
    """Ask a mentor for an answer to a reminder, which a POST gives."""
    try:
        reminder = _find_reminder(read_id(token, purpose=ANSWER), token)
    except LinkInvalid:
        return _page("wrong_link", status=404, is_for_mentor=True)
    except LinkExpired as link:
        expired = _find_reminder(link.id, token)
        return _too_old(expired.mentor.language if expired else None, is_for_mentor=True)
    if reminder is None or (choice and choice not in Answer.Choice):
        language = reminder.mentor.language if reminder else None
        return _page("wrong_link", status=404, language=language, is_for_mentor=True)
    if request.method != "POST":
        return _ask(reminder, choice)
    if not choice:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if may_answer(reminder.notification) and _waiting(reminder):
        record_answer(reminder.notification, Answer.Choice(choice), now=timezone.now())
    return _see(reminder.url(choice))  # which thanks, or says that nothing is needed


@csrf_exempt  # as above
@throttled
@require_http_methods(METHODS)
def preference_page(request: HttpRequest, token: str) -> HttpResponse:
    """Ask a coordinator how to be told; a POST chooses, or at once ends the summaries (RFC 8058)."""
    try:
        user_id = read_id(token, purpose=PREFERENCE)
    except LinkInvalid:
        return _page("wrong_link", status=404)
    except LinkExpired as link:
        expired = find_chosen(link.id)
        return _too_old(expired.reads if expired else None)
    chosen = find_chosen(user_id)
    if chosen is None:
        return _page("wrong_link", status=404)
    url = reverse("preference", args=[token])
    if request.method == "POST":
        return _take_preference(request, user_id, chosen, url)
    return _preference(chosen, url, is_saved="saved" in request.GET)


def _ask(reminder: Reminder, choice: str) -> HttpResponse:
    if not may_answer(reminder.notification):
        return reminder.page("nothing_needed", has_ended=True)
    waiting = _waiting(reminder)
    if not waiting:
        names = [name for facts in find_reminders(reminder.notification) for name in facts["names"]]
        return reminder.page("nothing_needed", names=names)
    given = reminder.notification.answers.order_by("at", "pk").values_list("choice", flat=True)
    if not choice:
        labels = [Answer.Choice(value).label for value in given]
        choices = reminder.links(Answer.Choice.values)
        return reminder.page("choose", certifications=waiting, choices=choices, given=labels)
    [link] = reminder.links([choice])
    context = {
        "certifications": waiting,
        "choice": link,
        "others": reminder.links(other for other in Answer.Choice.values if other != choice),
    }
    if choice not in given:
        return reminder.page("confirm", **context)
    pauses_on = _pauses_on(reminder, waiting) if choice == Answer.Choice.RENEWING else None
    return reminder.page("thanks", **context, pauses_on=pauses_on)


def _find_reminder(pk: int, token: str) -> Reminder | None:
    found = Notification.objects.select_related("organisation", "recipient_mentor").filter(pk=pk).first()
    if found is None or found.recipient_mentor is None:
        return None
    return Reminder(notification=found, mentor=found.recipient_mentor, token=token)


def _waiting(reminder: Reminder) -> list[UnrenewedCertification]:
    """Return what of the reminder is not renewed, revoked or corrected since.

    What has expired in the meantime is among it: to hear that somebody is stopping, or needs help, is then of more use
    than before.
    """
    organisation, now = reminder.notification.organisation, timezone.now()
    reminded = {(facts["certification_id"], facts["expires_on"]) for facts in find_reminders(reminder.notification)}
    held = Certification.objects.in_force().filter(pk__in={pk for pk, _expires_on in reminded})
    still_the_last = held.unless_superseded(Value(int(organisation.valid_through_expiry_day)))
    return [
        UnrenewedCertification(
            name=certification.type.name,
            expires_on=certification.expires_on,
            has_expired=certification.expires_on < organisation.local_date(now),
            lapses_on=calendar_of(certification.type, now=now).lapses_on(certification.expires_on),
        )
        for certification in still_the_last.select_related("type__organisation").order_by("expires_on", "pk")
        if certification.expires_on and (certification.pk, str(certification.expires_on)) in reminded
    ]


def _pauses_on(reminder: Reminder, waiting: Iterable[UnrenewedCertification]) -> date | None:
    """Return the coming day on which the mentor is paused if nothing is renewed (rules 3 and 4)."""
    organisation, mentor = reminder.notification.organisation, reminder.mentor
    first = min(certification.lapses_on for certification in waiting)
    is_to_come = first > organisation.local_date(timezone.now())
    if not (is_to_come and organisation.auto_pause and mentor.status == Mentor.Status.ACTIVE):
        return None
    return first if lapsed_types(mentor=mentor, on=first) else None


def _preference(chosen: EffectivePreference, url: str, *, status: int = 200, **context: bool) -> HttpResponse:
    return _page(
        "preference",
        status=status,
        language=chosen.reads,
        organisation=chosen.organisation,
        chosen=chosen,
        mails=MAILS,
        languages=READABLE,
        url=url,
        **context,
    )


def _take_preference(request: HttpRequest, user_id: int, chosen: EffectivePreference, url: str) -> HttpResponse:
    if request.POST.get("List-Unsubscribe") == "One-Click":
        stop_summaries(user_id)
        # No redirect: a mail program need not follow it.
        return _page("unsubscribed", language=chosen.reads, organisation=chosen.organisation, url=url)
    mail, language = request.POST.get("mail"), request.POST.get("language")
    if mail not in dict(MAILS) or language not in dict(READABLE):
        return _preference(chosen, url, status=400, is_wrong=True)
    choose(user_id, mail=str(mail), language=str(language))
    return _see(f"{url}?saved")


def _too_old(language: str | None, *, is_for_mentor: bool = False) -> HttpResponse:
    return _page("too_old", status=410, language=language, days=settings.LINK_DAYS, is_for_mentor=is_for_mentor)


def _page(name: str, *, status: int = 200, language: str | None = None, **context: Any) -> HttpResponse:
    """Write a page in the language; without one, in the browser's."""
    language = language or translation.get_language() or settings.LANGUAGE_CODE
    nonce = secrets.token_urlsafe(16)
    with translation.override(language):
        html = render_to_string(f"notifications/page_{name}.html", context | {"language": language, "nonce": nonce})
    headers = HEADERS | {"Content-Language": language, "Content-Security-Policy": CONTENT.format(nonce)}
    return HttpResponse(html, status=status, headers=headers)


def _see(url: str) -> HttpResponse:
    """Let the browser get the page at the address, so that to load it again sends nothing again."""
    return SeeOther(url, headers=HEADERS)
