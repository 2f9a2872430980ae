"""A Redis server of a test's own, which may be killed and started again."""

import json
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from polaris.tests.stack import wait_until

QUEUE = "polaris"
PASSWORD = "the broker's own"
BINARY = shutil.which("redis-server")


class Broker:
    """Keeps nothing on disk: started again it is empty, as after the worst of deaths."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self.url = f"redis://:{quote(PASSWORD)}@127.0.0.1:{self._port}/0"
        self.client = redis.Redis(port=self._port, password=PASSWORD)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """It answers."""
        options = ["--port", str(self._port), "--bind", "127.0.0.1"]
        with (self._folder / "redis.log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(BINARY), *options, "--save", "", "--requirepass", PASSWORD],
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, what="the broker answers")

    def kill(self) -> None:
        """kill -9, with all that it held."""
        if self._server:
            self._server.kill()
            self._server.wait()

    def messages(self) -> list[bytes]:
        """What waits for a worker, as it is."""
        return self.client.lrange(QUEUE, 0, -1)

    def deliver_again(self, messages: list[bytes]) -> None:
        """As a broker may that has not heard of an answer."""
        for each in messages:
            copy: dict[str, Any] = json.loads(each)
            copy["properties"]["delivery_tag"] += "-again"
            self.client.lpush(QUEUE, json.dumps(copy))

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False
