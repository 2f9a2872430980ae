"""Requests that come through a proxy, which ends TLS: whose they are, and how they came in."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

Application = Callable[[Any, Any, Any], Awaitable[None]]


def behind_proxies(application: Application, proxies: Collection[str]) -> Application:
    """The application, told of the client and the scheme that a trusted proxy names.

    Throttles go by that client's address, redirects and cookies by that scheme. The addresses are
    read from the last to the first, up to the first that is no proxy of ours, so that a client
    cannot give itself another one. Nobody else's X-Forwarded-… headers are looked at."""
    return ProxyHeadersMiddleware(application, trusted_hosts=list(proxies))
