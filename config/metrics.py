"""`/metrics`, for Prometheus only.

A request needs METRICS_TOKEN. Where it is not set, the address answers 404, except with DEBUG. Prometheus asks from
inside the network over plain HTTP, so it is not redirected to HTTPS: see docs/metrics.md.
"""

from __future__ import annotations

import psycopg
import structlog
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from config.health import check_database, shows_token
from cronjobs.monitoring.metrics import NightCollector

log = structlog.get_logger(__name__)


@require_GET
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape: 200; 401 without the token, 404 if no token is set, 503 without a database."""
    if not (settings.METRICS_TOKEN or settings.DEBUG):
        return HttpResponseNotFound()
    if not shows_token(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry()
    registry.register(NightCollector(now=timezone.now()))
    try:
        check_database()  # with a short timeout; the connection of an earlier request could hang
        return HttpResponse(encode(registry), content_type=content_type)
    except (psycopg.Error, Error) as error:
        log.warning("no metrics", event_name="metrics_failed", error=type(error).__name__)
        return HttpResponse(status=503)
