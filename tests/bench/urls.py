"""The service's own addresses, and the plain ones beside them, in one server."""

from __future__ import annotations

from django.urls import path

from config.urls import urlpatterns as own
from tests.bench.plain_api import PlainCertificationViewSet, PlainPublicViewSet

urlpatterns = [
    path("plain/certifications", PlainCertificationViewSet.as_view({"get": "list"})),
    path("plain/<organisation>/<chapter>/mentors", PlainPublicViewSet.as_view({"get": "list"})),
    *own,
]
