"""What goes back over the wire, whole or cut off?"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from tracking.simulator.refusals import Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_AT_ONCE = struct.pack("ii", 1, 0)


class Ending(Enum):
    """How much of a reply the client gets."""

    WHOLE = auto()
    TRUNCATED = auto()
    RESET = auto()


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, and how it ends."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    ending: Ending = Ending.WHOLE


RESET = Reply(0, ending=Ending.RESET)


def json_reply(status: int, content: object, *, ending: Ending = Ending.WHOLE) -> Reply:
    """An answer in JSON."""
    body = json.dumps(content, separators=(",", ":")).encode()
    return Reply(status, body, (("content-type", "application/json"),), ending)


def refusal_reply(refusal: Refusal) -> Reply:
    """One of Twilio's errors as an answer."""
    reply = json_reply(refusal.status, refusal.body())
    return Reply(reply.status, reply.body, reply.headers + refusal.headers)


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP, whose application finds the connection itself in `scope["state"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


async def send_reply(reply: Reply, scope: Message, receive: Receive, send: Send) -> None:
    """Send as much of the reply as its ending allows."""
    if reply.ending != Ending.RESET:
        await _send(reply, send)
    if reply.ending != Ending.WHOLE:
        _cut(scope["state"]["transport"], reset=reply.ending == Ending.RESET)
        await _disconnected(receive)


async def _send(reply: Reply, send: Send) -> None:
    length = ("content-length", str(len(reply.body)))
    headers = [(name.encode(), text.encode()) for name, text in (*reply.headers, length)]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    cut = reply.ending == Ending.TRUNCATED
    body = reply.body[: len(reply.body) // 2] if cut else reply.body
    await send({"type": "http.response.body", "body": body, "more_body": cut})


def _cut(transport: asyncio.Transport, *, reset: bool) -> None:
    """Close the connection once what was written is sent, or reset it at once."""
    if not reset:
        transport.close()
        return
    # Closing with a linger of zero sends RST instead of FIN.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


async def _disconnected(receive: Receive) -> None:
    """Wait for the end; uvicorn would otherwise report the reply as forgotten."""
    while (await receive())["type"] != "http.disconnect":
        pass
