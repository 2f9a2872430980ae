"""A simulated carrier for tests: a real server in a thread, on a free port."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tracking.simulator.calls import ledger_entry
from tracking.simulator.exchange import Exchange
from tracking.simulator.server import CarrierServer, listen, url_of

Found = TypeVar("Found")

_PATIENCE = 10.0


class SimulatedCarrier:
    """What a test sees of a running carrier; usable from any thread."""

    def __init__(self, url: str, server: CarrierServer) -> None:
        self.url = url
        self._server = server

    def accepted(self) -> int:
        """How many creates were accepted, whatever their clients heard."""
        return self._server.exchange.accepted

    def calls(self) -> list[dict[str, Any]]:
        """The accepted calls as the ledger shows them, oldest first."""
        return self._ask(self._entries(), _PATIENCE)

    def forget(self) -> None:
        """Empty the ledger; live calls end unheard."""
        self._ask(self._forget(), _PATIENCE)

    def wait_idle(self, timeout: float = _PATIENCE) -> None:
        """Wait until no call is live and no webhook under way; raises TimeoutError."""
        self._ask(self._server.exchange.idle(), timeout)

    async def _entries(self) -> list[dict[str, Any]]:
        return [ledger_entry(call) for call in self._server.exchange.calls()]

    async def _forget(self) -> None:
        self._server.exchange.forget()

    def _ask(self, question: Coroutine[Any, Any, Found], timeout: float) -> Found:
        """Have the server's own thread answer, for the exchange belongs to it."""
        asked = asyncio.run_coroutine_threadsafe(question, self._server.get_loop())
        try:
            return asked.result(timeout)
        except TimeoutError:
            asked.cancel()
            raise


@contextmanager
def running_carrier(
    *,
    account_sid: str,
    auth_token: str,
    speed: float = 50.0,
    port: int = 0,
    late_answer: float = 30.0,
) -> Iterator[SimulatedCarrier]:
    """A carrier on loopback, `speed` times as fast as life, until the block ends."""
    exchange = Exchange(
        account_sid=account_sid, auth_token=auth_token, speed=speed, late_answer=late_answer
    )
    server = CarrierServer(exchange)
    listener = listen("127.0.0.1", port)
    url = url_of(listener)
    thread = threading.Thread(target=server.run, args=([listener],), name="simulated-carrier")
    thread.start()
    try:
        if not server.ready.wait(_PATIENCE):
            raise TimeoutError("The simulated carrier did not start")
        yield SimulatedCarrier(url, server)
    finally:
        server.should_exit = True
        thread.join()
