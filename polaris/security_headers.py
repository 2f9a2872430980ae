"""What every answer tells a browser: what its page may load, and what else it must not do.

https://developer.mozilla.org/docs/Web/HTTP/Headers/Content-Security-Policy"""

from typing import TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.security import SecurityMiddleware

# The admin's Alpine.js evaluates expressions that stand in the page, and its widgets write style
# attributes; nothing of it comes from elsewhere, and no page holds a script of its own.
PAGE_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer",
        "microphone", "midi", "payment", "usb",
    )
)  # fmt: skip


Answer = TypeVar("Answer", bound=HttpResponseBase)


class SecurityHeadersMiddleware(SecurityMiddleware):
    """Stands before all others, so that what they refuse has the headers too."""

    def process_request(self, request: HttpRequest) -> None:
        """Nothing yet: Django's own middleware redirects to https where it stands."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Django's headers, and ours."""
        response = super().process_response(request, response)
        if _is_djangos_own_page(response):
            return response
        return protect(response)


def protect(response: Answer) -> Answer:
    """The headers that do not depend upon the request."""
    content_type = response.get("Content-Type", "")
    is_page = content_type.startswith("text/html")
    headers = response.headers
    headers.setdefault("Content-Security-Policy", PAGE_POLICY if is_page else DATA_POLICY)
    headers.setdefault("Permissions-Policy", PERMISSIONS)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    if isinstance(response, HttpResponse) and response.content:
        headers.setdefault("Content-Length", str(len(response.content)))
    if content_type.startswith("application/json"):
        headers.setdefault("Cache-Control", "no-store")  # tokens, numbers, names
    return response


def _is_djangos_own_page(response: HttpResponseBase) -> bool:
    """The tracebacks and the list of paths that DEBUG shows hold scripts."""
    return settings.DEBUG and response.status_code in {404, 500}
