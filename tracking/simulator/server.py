"""How does the carrier start, and how does it stop?"""

import asyncio
import ipaddress
import socket
import threading

import uvicorn

from tracking.simulator.app import Application
from tracking.simulator.exchange import Exchange
from tracking.simulator.replies import CuttableProtocol

_BACKLOG = 2048


class NotLoopbackError(ValueError):
    """The simulated carrier listens on loopback only."""


class CarrierServer(uvicorn.Server):
    """uvicorn, with an exchange that opens and closes with it."""

    def __init__(self, exchange: Exchange) -> None:
        config = uvicorn.Config(
            Application(exchange),
            http=CuttableProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self.exchange = exchange
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of what is held back, then end as uvicorn does."""
        self.exchange.stop()
        await super().shutdown(sockets)
        await self.exchange.close()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the exchange lives on."""
        if self._loop is None:
            raise RuntimeError("The carrier has not started")
        return self._loop


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises NotLoopbackError, or OSError where the port is taken."""
    address = _loopback(host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio sends small answers without delay only where the socket is declared TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The address at which the carrier is found."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _loopback(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise NotLoopbackError(NotLoopbackError.__doc__)
