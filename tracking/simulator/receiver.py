"""Who hears the webhooks in a test? A real HTTP server that keeps what it is told."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl

from twilio.request_validator import RequestValidator

HANG_UP = 0
"""An answer that is none: the connection closes."""


@dataclass(frozen=True)
class Told:
    """One webhook as it arrived."""

    method: str
    path: str
    """With its query."""
    fields: dict[str, str]
    headers: dict[str, str]
    is_signed: bool
    """Whether Twilio's own validator accepts the signature."""

    @property
    def status(self) -> str:
        """What became of the call."""
        return self.fields["CallStatus"]

    @property
    def token(self) -> str:
        """Equal for repeats of one webhook."""
        return self.headers["i-twilio-idempotency-token"]


@dataclass
class Receiver:
    """Answers 204, or the HTTP statuses in `answers` first; a redirect leads back to it."""

    url: str
    validator: RequestValidator
    told: list[Told] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)

    def statuses(self) -> list[str]:
        """What was told, in the order of arrival."""
        return [told.status for told in self.told]


@contextmanager
def running_receiver(auth_token: str) -> Iterator[Receiver]:
    """A receiver of webhooks on a free loopback port, until the block ends."""
    with _Server(auth_token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="receiver")
        thread.start()
        try:
            yield server.receiver
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, auth_token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        url = f"http://127.0.0.1:{self.server_port}"
        self.receiver = Receiver(url, RequestValidator(auth_token))


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._hear(dict(parse_qsl(body, keep_blank_values=True)), signed_with_fields=True)

    def do_GET(self) -> None:
        query = parse_qs(self.path.partition("?")[2], keep_blank_values=True)
        self._hear({name: values[0] for name, values in query.items()}, signed_with_fields=False)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _hear(self, fields: dict[str, str], *, signed_with_fields: bool) -> None:
        receiver = self.server.receiver
        headers = {name.lower(): text for name, text in self.headers.items()}
        is_signed = receiver.validator.validate(
            receiver.url + self.path,
            fields if signed_with_fields else {},
            headers["x-twilio-signature"],
        )
        receiver.told.append(Told(self.command, self.path, fields, headers, is_signed))
        answer = receiver.answers.popleft() if receiver.answers else 204
        if answer != HANG_UP:
            self.send_response(answer)
            if answer // 100 == 3:
                self.send_header("Location", receiver.url)
            self.end_headers()
