"""How a contender's process hears of the calls that it is to make."""

import json
import signal
import sys
import threading
from datetime import UTC, datetime

from bench.contenders.base import Call


def read_calls() -> list[Call]:
    """The calls that the bench writes to standard input, one line of JSON."""
    return [(phone, moment) for phone, moment in json.loads(sys.stdin.readline())]


def say(word: str) -> None:
    """Tell the bench how far we are."""
    print(word, flush=True)


def moment_of(seconds: float) -> datetime:
    """Seconds since the epoch as a moment in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def wait_for_the_end() -> None:
    """Until the bench ends this process in good order."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    while not over.wait(1):
        pass
