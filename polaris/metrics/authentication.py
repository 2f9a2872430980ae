"""Who may read the metrics: whoever brings METRICS_TOKEN. Without one they are not served."""

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

_SCHEME = "bearer"


class MetricsToken(BaseAuthentication):
    """`Authorization: Bearer …`, compared in constant time."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, str]:
        if not settings.METRICS_TOKEN:
            raise Http404
        scheme, _, brought = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            raise NotAuthenticated
        # Each is compared, whichever fits.
        fits = [
            secrets.compare_digest(brought.encode(), t.encode()) for t in settings.METRICS_TOKEN
        ]
        if scheme.lower() != _SCHEME or not any(fits):
            raise AuthenticationFailed("That is not METRICS_TOKEN.")
        return AnonymousUser(), _SCHEME

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="metrics"'


class BroughtToken(BasePermission):
    """The token is all that it takes: no account is behind it."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.auth)


class MetricsTokenScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document tells of it."""

    target_class = MetricsToken
    name = "metricsToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "METRICS_TOKEN"}
