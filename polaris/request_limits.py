"""How much of a request is read at all: its address, its headers, its body, and for how long.

Asked before Django sees the request, which would read a body of any size, and on to the disk."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted

from polaris import errors
from polaris.errors import ErrorCode

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

LONGEST_ADDRESS = 8_000  # characters of the path and the query together
LARGEST_HEADERS = 32_768  # bytes, names and values
BODY_SECONDS = 30
# Of a body that is refused so much is read and dropped: who is cut off while he sends does not see
# the answer.
LARGEST_DROPPED = 16 * 2**20
DROP_SECONDS = 5


class RequestRefused(Exception):
    """More than is read here."""

    def __init__(self, error: ErrorCode, field: str, issue: str) -> None:
        self.error, self.field, self.issue = error, field, issue
        super().__init__(issue)


async def read_whole(scope: MutableMapping[str, Any], receive: Receive) -> Receive:
    """A `receive` that holds the whole body. Raises RequestRefused, RequestAborted."""
    announced = _announced(scope)
    limit = body_limit(scope["path"])
    try:
        _check_address(scope)
        _check_headers(scope)
        if announced > limit:
            raise _too_large(limit)
    except RequestRefused:
        if announced <= LARGEST_DROPPED and not _asks_first(scope):
            await _drop(receive)
        raise
    return _replay(await _read(receive, limit), receive)


def body_limit(path: str) -> int:
    """Bytes of a body that are read at `path`."""
    for prefix, limit in settings.BODY_LIMITS.items():
        if path.startswith(prefix):
            return int(limit)
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def _announced(scope: MutableMapping[str, Any]) -> int:
    """Content-Length; the server has refused what is no number."""
    raw = dict(scope["headers"]).get(b"content-length", b"")
    return int(raw[:18]) if raw.isdigit() else 0


def _asks_first(scope: MutableMapping[str, Any]) -> bool:
    """Who expects `100 Continue` has sent nothing yet."""
    return any(name == b"expect" for name, _ in scope["headers"])


def _check_address(scope: MutableMapping[str, Any]) -> None:
    if len(scope["path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
        issue = f"The path and the query have more than {LONGEST_ADDRESS:,} characters."
        raise RequestRefused(errors.ADDRESS_TOO_LONG, "path", issue)


def _check_headers(scope: MutableMapping[str, Any]) -> None:
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEADERS:
        issue = f"The headers have more than {LARGEST_HEADERS:,} bytes."
        raise RequestRefused(errors.BAD_REQUEST, "headers", issue)
    if any(name == b"transfer-encoding" for name, _ in scope["headers"]):
        issue = "A body must be sent whole, with its Content-Length."
        raise RequestRefused(errors.BAD_REQUEST, "Transfer-Encoding", issue)


async def _read(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                body += message.get("body", b"")
                if len(body) > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        issue = f"The body did not arrive within {BODY_SECONDS} seconds."
        raise RequestRefused(errors.BAD_REQUEST, "body", issue) from None


async def _drop(receive: Receive) -> None:
    """Read and forget a body, within bounds. Raises RequestAborted."""
    dropped, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DROP_SECONDS):
            while more and dropped < LARGEST_DROPPED:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                dropped += len(message.get("body", b""))
                more = message.get("more_body", False)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _too_large(limit: int) -> RequestRefused:
    return RequestRefused(errors.BODY_TOO_LARGE, "body", f"More than {limit:,} bytes.")
