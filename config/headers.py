"""The headers by which a browser keeps to what a page needs: in one place, for every response.

Whatever is not said to be public is stored by nobody, and whatever is not the desk may load and run nothing. A page
that needs something else says so itself, as the public page and the pages behind links do. `Referrer-Policy`,
`Cross-Origin-Opener-Policy`, `X-Content-Type-Options` and HSTS are Django's own, by its SecurityMiddleware.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
OWN = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# No script may stand in a page, not even with a nonce. Two things the theme cannot do without: its Alpine.js makes
# functions of attributes ('unsafe-eval'), and its templates have styles in elements and attributes ('unsafe-inline').
DESK = OWN.format(scripts=" 'unsafe-eval'")
DOCS = OWN.format(scripts="")
BY_PREFIX = {"/admin/": DESK, "/api/v1/docs": DOCS}
# What no page here uses. Not clipboard-write: the desk copies addresses.
UNUSED = (
    "accelerometer", "autoplay", "bluetooth", "browsing-topics", "camera", "display-capture", "fullscreen",
    "geolocation", "gyroscope", "hid", "magnetometer", "microphone", "midi", "payment", "publickey-credentials-get",
    "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip
PERMISSIONS = ", ".join(f"{feature}=()" for feature in UNUSED)


def headers(get_response: GetResponse) -> GetResponse:
    """A Django middleware; the outermost, so that it sees every response."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.setdefault("Permissions-Policy", PERMISSIONS)
        if not (settings.DEBUG and response.status_code in (404, 500)):  # Django's pages for developers have scripts
            response.setdefault("Content-Security-Policy", _policy(request.path_info))
        cached = response.get("Cache-Control", "")
        if "public" not in cached and "no-store" not in cached:
            response["Cache-Control"] = "no-store"
        return response

    return answer


def _policy(path: str) -> str:
    return next((policy for prefix, policy in BY_PREFIX.items() if path.startswith(prefix)), NOTHING)
