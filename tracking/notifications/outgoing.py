"""A POST to somebody else: to public addresses alone, without redirects, and not for long."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from tracking.notifications import public_addresses
from tracking.notifications.public_addresses import AddressNotAllowed

__all__ = ["AddressNotAllowed", "post"]


@contextmanager
def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    timeout: tuple[float, float],
    within: float,
    allow_private: bool,
) -> Iterator[requests.Response]:
    """The answer, its body unread. `timeout` is for connecting and for each silence, `within` for
    all of it, in seconds. Raises AddressNotAllowed, requests.RequestException."""
    with requests.Session() as session, _Deadline(within) as deadline:
        # A proxy of the environment would look the name up by itself.
        session.trust_env = False
        adapter = _GuardedAdapter(allow_private=allow_private, deadline=deadline)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        try:
            response = session.post(
                url,
                data=body,
                headers=dict(headers),
                timeout=timeout,
                allow_redirects=False,
                stream=True,
                verify=os.environ.get("REQUESTS_CA_BUNDLE") or True,
            )
        except requests.RequestException as error:
            if deadline.is_over:
                raise requests.ReadTimeout from error
            raise
        with response:
            if deadline.is_over:  # what was cut off looks like the end of the headers
                raise requests.ReadTimeout
            yield response


class _Deadline:
    """Cuts a connection when its time is over. A time-out starts anew with every byte."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._wire: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._wire is not None:
            self._wire.close()

    def watch(self, wire: socket.socket) -> None:
        """TLS takes `wire` over; a second handle still reaches the same connection."""
        self._wire = wire.dup()

    def _cut(self) -> None:
        self.is_over = True
        if self._wire is not None:
            try:
                self._wire.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already


class _GuardedAdapter(HTTPAdapter):
    """Connects through `public_addresses` alone."""

    def __init__(self, *, allow_private: bool, deadline: _Deadline) -> None:
        self._guard = {"allow_private": allow_private, "deadline": deadline}
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """The pools of this adapter make connections of ours."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": self._pool(HTTPConnectionPool, _HTTP),
            "https": self._pool(HTTPSConnectionPool, _HTTPS),
        }

    def _pool(self, pool: type[Any], connection: Callable[..., Any]) -> type[Any]:
        made = partial(connection, **self._guard)
        return type(pool.__name__, (pool,), {"ConnectionCls": staticmethod(made)})


class _Guarded:
    """The first step of a connection, before any TLS."""

    host: str
    port: int
    timeout: Any
    _dns_host: str

    def __init__(self, *args: Any, allow_private: bool, deadline: _Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._allow_private, self._deadline = allow_private, deadline

    def _new_conn(self) -> socket.socket:
        try:
            wire = public_addresses.connect(
                self._dns_host.strip("[]"),
                self.port,
                timeout=self.timeout,
                allow_private=self._allow_private,
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "connecting took too long") from error
        except OSError as error:
            raise NewConnectionError(self, "no connection") from error  # type: ignore[arg-type]
        self._deadline.watch(wire)
        return wire


class _HTTP(_Guarded, HTTPConnection):
    """http://"""


class _HTTPS(_Guarded, HTTPSConnection):
    """https://: the certificate is checked against the name, not the address."""
