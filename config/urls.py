"""All URLs of the service."""

from __future__ import annotations

from anymail import urls as anymail_urls
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, include, path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView

from certifications.api.certifications import CertificationViewSet
from certifications.api.exemptions import ExemptionViewSet
from certifications.api.public import PublicMentorViewSet
from certifications.api.types import CertificationTypeViewSet
from certifications.pages import calendar_feed, chapter_page, robots
from config import health
from config.metrics import metrics
from cronjobs.api.cron_jobs import CronJobViewSet
from cronjobs.api.expiry_job import ExpiryJobViewSet
from cronjobs.api.ledger import LedgerViewSet
from cronjobs.api.runs import RunViewSet
from mentors.admin import own_access, password_reset
from mentors.api.chapters import ChapterViewSet
from mentors.api.mentors import MentorViewSet
from mentors.api.sign_in import LoginView, LogoutAllView, LogoutView, MeView
from mentors.rest.schema import SchemaView
from mentors.rest.views import Router, no_such_address
from notifications.api import NotificationViewSet
from notifications.pages import answer_page, preference_page

handler500 = "mentors.rest.errors.server_error"

SLUG = "[-a-zA-Z0-9_]+"

router = Router()
# Before the certifications, or it would be read as one of their ids.
router.register("certifications/expiry-job", ExpiryJobViewSet, basename="expiry-job")
router.register("certifications", CertificationViewSet, basename="certification")
router.register("certification-types", CertificationTypeViewSet, basename="certification-type")
router.register("exemptions", ExemptionViewSet, basename="exemption")
router.register("mentors", MentorViewSet, basename="mentor")
router.register("chapters", ChapterViewSet, basename="chapter")
router.register("certification-cron", CronJobViewSet, basename="cron-job")
router.register("runs", RunViewSet, basename="run")
router.register("runs/(?P<id>[^/]+)", LedgerViewSet, basename="ledger")
router.register("notifications", NotificationViewSet, basename="notification")
router.register(
    rf"public/(?P<organisation>{SLUG})/chapters/(?P<chapter>{SLUG})/mentors",
    PublicMentorViewSet,
    basename="public-mentor",
)

api = [
    re_path(r"^auth/login/?$", LoginView.as_view(), name="login"),
    re_path(r"^auth/logout/?$", LogoutView.as_view(), name="logout"),
    re_path(r"^auth/logout-all/?$", LogoutAllView.as_view(), name="logout-all"),
    re_path(r"^me/?$", MeView.as_view(), name="me"),
    re_path(r"^schema/?$", SchemaView.as_view(), name="schema"),
    re_path(
        r"^docs/?$",
        SpectacularSwaggerSplitView.as_view(url_name="api:schema", authentication_classes=()),
        name="docs",
    ),
    *router.urls,
    re_path(r"", no_such_address),
]


def provider_webhooks(provider: str, *, secret: str) -> list[URLPattern]:
    """Return the URL where this mail provider reports bounces; not those of other providers, nor for incoming mail.

    Without the `name:password` by which it logs in there is none: anybody could report some.
    """
    if not all(secret.partition(":")):
        return []
    return [pattern for pattern in anymail_urls.urlpatterns if pattern.name == f"{provider}_tracking_webhook"]


reports_of_bounces = provider_webhooks(settings.EMAIL_PROVIDER, secret=str(settings.ANYMAIL["WEBHOOK_SECRET"]))
urlpatterns = [
    path("healthz", health.healthz),
    path("healthz/nightly", health.nightly),
    path("readyz", health.readyz),
    path("metrics", metrics),
    path("admin/password/", password_reset.ForgottenView.as_view(), name="admin_password_reset"),
    path("admin/password/sent/", password_reset.SentView.as_view(), name="password_reset_done"),
    path("admin/password/changed/", password_reset.ChangedView.as_view(), name="password_reset_complete"),
    path("admin/password/<uidb64>/<token>/", password_reset.NewPasswordView.as_view(), name="password_reset_confirm"),
    path("admin/invitation/<int:uidb64>/<token>/", password_reset.InvitationView.as_view(), name="invitation"),
    path("admin/access/", admin.site.admin_view(own_access.show), name="own_access"),
    path("admin/access/end/", admin.site.admin_view(own_access.end), name="own_access_end"),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", include((api, "api"))),
    # Short, because they are sent in text messages.
    path("a/<str:token>/", answer_page, name="answer"),
    path("a/<str:token>/<str:choice>/", answer_page, name="answer"),
    path("p/<str:token>/", preference_page, name="preference"),
    # The token is enough to read the calendar; `find_feed_owner` finds its owner.
    path("c/<str:token>/nattevakt.ics", calendar_feed, name="calendar_feed"),
    path("robots.txt", robots),
    path(
        "anymail/", include(provider_webhooks(settings.EMAIL_PROVIDER, secret=str(settings.ANYMAIL["WEBHOOK_SECRET"])))
    ),
    # No organisation has a slug that is a path above: mentors.validators.RESERVED_SLUGS.
    path("<slug:organisation>/<slug:chapter>/", chapter_page, name="chapter"),
]
