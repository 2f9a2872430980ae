"""A web process of a test's own over a new database, and raw bytes to it and from it."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from polaris.tests.stack import HOME, PATIENCE, Stack

NOWHERE = "http://127.0.0.1:9"  # a carrier that nobody asks


def scratch(folder: Path, **environment: str) -> Stack:
    """Processes over a migrated SQLite file in `folder`; none is started yet."""
    stack = Stack(SimpleNamespace(url=NOWHERE), folder)
    file = f"sqlite:///{folder / 'scratch.sqlite3'}"
    stack.environment |= {"DATABASE_URL": file, "MONGODB_URL": ""} | environment
    manage(stack, "migrate", "--verbosity", "0")
    return stack


def manage(stack: Stack, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A management command in the stack's environment."""
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=HOME,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=check,
        timeout=120,
    )


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Stack]:
    """The web process over a new database."""
    stack = scratch(folder, **environment)
    try:
        stack.start_web()
        yield stack
    finally:
        stack.stop()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def say(port: int, raw: bytes) -> Answer:
    """Send bytes as they are and read until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as wire:
        wire.sendall(raw)
        heard = b""
        while part := wire.recv(65536):
            heard += part
    head, _, body = heard.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)
