"""The loopback carrier, judge of every contender: notes when a create came, answers as Twilio.

Raw HTTP over asyncio with keep-alive, and no more work than that: at a thousand creates a second it
must not be what is measured. The arrival is noted when the request has come whole.

    python -m bench.carrier        prints its port, then serves until it is killed
    GET  /control/count            how many creates were accepted
    GET  /control/arrivals         [[number, seconds since the epoch, SID, callback], …]
    POST /control/reset            forgets them
"""

import asyncio
import json
import secrets
import time
from urllib.parse import parse_qs

from bench.account import ACCOUNT_SID, CALLS_PATH, FROM_NUMBER

_CREATE = f"POST {CALLS_PATH} ".encode()
_RUN = secrets.token_hex(8)
_BASE = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/@SID@"
_SUBRESOURCES = {
    "events": "Events",
    "notifications": "Notifications",
    "payments": "Payments",
    "recordings": "Recordings",
    "siprec": "Siprec",
    "streams": "Streams",
    "transcriptions": "Transcriptions",
    "user_defined_message_subscriptions": "UserDefinedMessageSubscriptions",
    "user_defined_messages": "UserDefinedMessages",
}
# The Call resource of a create's answer: queued, and without dates.
# https://www.twilio.com/docs/voice/api/call-resource
_RESOURCE = {
    "account_sid": ACCOUNT_SID,
    "annotation": None,
    "answered_by": None,
    "api_version": "2010-04-01",
    "caller_name": None,
    "date_created": None,
    "date_updated": None,
    "direction": "outbound-api",
    "duration": None,
    "end_time": None,
    "forwarded_from": None,
    "from": FROM_NUMBER,
    "from_formatted": FROM_NUMBER,
    "group_sid": None,
    "parent_call_sid": None,
    "phone_number_sid": None,
    "price": None,
    "price_unit": "USD",
    "queue_time": "0",
    "sid": "@SID@",
    "start_time": None,
    "status": "queued",
    "subresource_uris": {name: f"{_BASE}/{path}.json" for name, path in _SUBRESOURCES.items()},
    "to": "@TO@",
    "to_formatted": "@TO@",
    "trunk_sid": None,
    "uri": f"{_BASE}.json",
}
_TEMPLATE = json.dumps(_RESOURCE)

# When it arrived, its SID, and the form as it came, which is read only when somebody asks.
_accepted: list[tuple[float, str, bytes]] = []


class Connection(asyncio.Protocol):
    """A client's connection, kept alive between requests."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer every request that has come whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            total = end + 4 + _content_length(self._received[:end])
            if len(self._received) < total:
                return
            request, self._received = self._received[:total], self._received[total:]
            self._transport.write(_answer(request, request[end + 4 :]))


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _answer(request: bytes, body: bytes) -> bytes:
    if request.startswith(_CREATE):
        return _accept(body)
    if request.startswith(b"GET /control/count"):
        return _reply("200 OK", str(len(_accepted)))
    if request.startswith(b"GET /control/arrivals"):
        return _reply("200 OK", json.dumps([_told(*call) for call in _accepted]))
    if request.startswith(b"POST /control/reset"):
        _accepted.clear()
        return _reply("200 OK", "{}")
    return _reply("404 Not Found", '{"code": 20404, "message": "Not found", "status": 404}')


def _accept(body: bytes) -> bytes:
    sid = f"CA{_RUN}{len(_accepted):016x}"
    _accepted.append((time.time(), sid, body))
    to = body.partition(b"To=%2B")[2].partition(b"&")[0].decode()
    return _reply("201 Created", _TEMPLATE.replace("@SID@", sid).replace("@TO@", f"+{to}"))


def _reply(status: str, text: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}"
    return f"{head}\r\n\r\n{text}".encode()


def _told(moment: float, sid: str, body: bytes) -> tuple[str, float, str, str]:
    fields = parse_qs(body.decode())
    return fields["To"][0], moment, sid, fields.get("StatusCallback", [""])[0]


async def serve() -> None:
    """Serve on a free loopback port until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
