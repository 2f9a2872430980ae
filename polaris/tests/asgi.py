"""Requests to the ASGI application itself, without a server."""

import asyncio
from typing import Any

from django.http import HttpResponse

from polaris.web_workers import WebWorkers


def ask_application(
    path: str, *, query: bytes = b"", headers: Any = (), body: list[bytes] | None = None
) -> HttpResponse:
    """The answer to what is refused before Django sees it; anything else would find no threads."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in body or [b""]]
    messages[-1]["more_body"] = False
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query,
        "headers": list(headers),
    }

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(WebWorkers.__call__(WebWorkers.__new__(WebWorkers), scope, receive, send))
    answer = HttpResponse(b"".join(message.get("body", b"") for message in sent[1:]))
    answer.status_code = sent[0]["status"]
    answer.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return answer
