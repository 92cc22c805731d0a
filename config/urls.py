"""Every address of the service."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from certifications.api import CertificationViewSet
from config import health
from mentors.api import LoginView, LogoutAllView, LogoutView, MeView
from mentors.rest.views import Router

router = Router()
router.register("certifications", CertificationViewSet, basename="certification")

api = [
    re_path(r"^auth/login/?$", LoginView.as_view(), name="login"),
    re_path(r"^auth/logout/?$", LogoutView.as_view(), name="logout"),
    re_path(r"^auth/logout-all/?$", LogoutAllView.as_view(), name="logout-all"),
    re_path(r"^me/?$", MeView.as_view(), name="me"),
    re_path(r"^schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^docs/?$", SpectacularSwaggerView.as_view(url_name="api:schema"), name="docs"),
    *router.urls,
]

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("admin/", admin.site.urls),
    path("api/v1/", include((api, "api"))),
]
