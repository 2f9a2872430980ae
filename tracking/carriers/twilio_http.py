"""How the SDK reaches Twilio: its own extension point, over urllib3's pool of connections.

The SDK's default client goes through a requests session, which reads the environment's proxies
anew for every call. This one takes half of its time (docs/decisions), never waits without a limit,
repeats nothing, and tells what the SDK's errors leave out: how long to wait, and whether anything
was sent at all.
"""

import threading
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from twilio.http import HttpClient
from twilio.http.response import Response

_FORM = "application/x-www-form-urlencoded"


class PooledHttpClient(HttpClient):
    """One for all threads of a process. Raises urllib3's HTTPError where no whole answer came."""

    def __init__(
        self, *, base_url: str, connect_timeout: float, read_timeout: float, connections: int
    ) -> None:
        super().__init__(logger=None, is_async=False)
        self._pool = _pool_for(
            base_url,
            timeout=urllib3.Timeout(connect=connect_timeout, read=read_timeout),
            retries=False,
            maxsize=connections,
            cert_reqs="CERT_REQUIRED",
            ca_certs=certifi.where(),
        )
        self._last = threading.local()

    @property
    def retry_after(self) -> timedelta | None:
        """How long the last answer to this thread asked to wait, where it did."""
        return getattr(self._last, "retry_after", None)

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """What the SDK asks for, once, within the time-outs of this client.

        Nothing is logged: addresses hold phone numbers."""
        self._last.retry_after = None
        answer: Any = self._pool.request(
            method.upper(),
            f"{uri}?{urlencode(params, doseq=True)}" if params else uri,
            body=urlencode(data, doseq=True) if data else None,
            headers=_headers(headers or {}, auth),
            redirect=False,
        )
        self._last.retry_after = _seconds(answer.headers.get("Retry-After"))
        return Response(answer.status, answer.data.decode("utf-8", "replace"), answer.headers)


def _headers(given: dict[str, str], auth: tuple[str, str] | None) -> dict[str, str]:
    named = {"Content-Type": _FORM} | given
    return named | (urllib3.make_headers(basic_auth=":".join(auth)) if auth else {})


def _pool_for(base_url: str, **options: Any) -> urllib3.PoolManager:
    """Through the environment's proxy where it names one for that address, read once."""
    parts = urllib3.util.parse_url(base_url)
    proxy = getproxies().get(parts.scheme or "https")
    if proxy and not proxy_bypass(parts.host or ""):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


def _seconds(text: str | None) -> timedelta | None:
    """Retry-After as Twilio writes it, in seconds; a date counts as none."""
    return timedelta(seconds=int(text)) if text and text.isdigit() and len(text) < 6 else None
