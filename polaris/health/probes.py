"""Lets probes in by whatever name or address they come.

A load balancer asks each machine by its address, which no ALLOWED_HOSTS names, and without TLS
(settings.SECURE_REDIRECT_EXEMPT). Nothing that these paths answer is built from the name."""

from django.conf import settings
from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin

PREFIX = "/health/"


class ProbesMiddleware(MiddlewareMixin):
    """Stands before whatever looks at the host."""

    def process_request(self, request: HttpRequest) -> None:
        """A probe's Host header becomes one of ours."""
        if request.path.startswith(PREFIX) and settings.ALLOWED_HOSTS:
            request.META["HTTP_HOST"] = settings.ALLOWED_HOSTS[0].lstrip(".")
            request.META.pop("HTTP_X_FORWARDED_HOST", None)
