"""`/api/v1/schema`: the OpenAPI document, which is the same for everybody and written once in each language."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from threading import Lock

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.utils.http import quote_etag
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from mentors.rest.throttles import PerAddress

_writing = Lock()  # to write it takes a second, and many may ask a process that has just begun


class SchemaView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (PerAddress,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponseBase:
        """Answer in the language of `lang`, else in the reader's."""
        asked = request.GET.get("lang", "")
        language = asked if asked in dict(settings.LANGUAGES) else translation.get_language() or settings.LANGUAGE_CODE
        with _writing:
            document, etag = _write(language)
        headers = {"ETag": etag, "Content-Disposition": 'inline; filename="Nattevakt.yaml"'}
        response = HttpResponse(document, content_type=OpenApiYamlRenderer.media_type, headers=headers)
        patch_cache_control(response, public=True, no_cache=True)
        patch_vary_headers(response, ["Cookie"])  # which may hold the language
        answer: HttpResponseBase | None = get_conditional_response(request._request, etag=etag, response=response)
        return answer or response


@cache
def _write(language: str) -> tuple[bytes, str]:
    with translation.override(language):
        schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
        document: bytes = OpenApiYamlRenderer().render(schema, renderer_context={})  # type: ignore[no-untyped-call]
    return document, quote_etag(sha256(document).hexdigest())
