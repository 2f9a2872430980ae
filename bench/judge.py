"""What the carrier saw: the only clock and the only count that the comparisons go by."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from urllib.parse import urlsplit

from bench.account import is_measured
from bench.contenders.base import Call
from bench.processes import Failed, Processes, end

_STALLED = 20.0  # seconds without an arrival, after which what is missing counts as lost


@dataclass(frozen=True, slots=True)
class Arrival:
    """A create that the carrier accepted; the moment is in seconds since the epoch."""

    phone: str
    moment: float
    call_id: str
    callback: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the calls of a trial."""

    arrived: dict[str, float]  # the first arrival of each number
    lost: int
    twice: int


class Judge:
    """Asks the loopback carrier."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        self._numbers = count()

    def numbers(self, how_many: int) -> list[int]:
        """Indexes of phone numbers that nobody has been given. A call of this carrier never ends,
        and a number has one call at a time."""
        return list(islice(self._numbers, how_many))

    def reset(self) -> None:
        """Forget every call."""
        self._ask("POST", "/control/reset")

    def accepted(self) -> int:
        """How many creates were accepted, warm-up and duplicates too."""
        return int(self._ask("GET", "/control/count"))

    def arrivals(self) -> list[Arrival]:
        """Every accepted create, oldest first."""
        return [Arrival(*told) for told in json.loads(self._ask("GET", "/control/arrivals"))]

    def wait_for(self, calls: list[Call]) -> None:
        """Wait until as many creates have come, or none has come for a while after the last was
        due."""
        seen, since = -1, time.time()
        last_due = max(moment for _, moment in calls)
        while True:
            accepted = self.accepted()
            if accepted >= len(calls):
                return
            if accepted != seen:
                seen, since = accepted, time.time()
            if time.time() > max(since, last_due) + _STALLED:
                return
            time.sleep(0.05)

    def all_arrived(self, calls: list[Call]) -> dict[str, float]:
        """When each of the measured calls has come. Raises Failed where one has not."""
        verdict = self.verdict(calls)
        if verdict.lost or verdict.twice:
            raise Failed(f"{verdict.lost} calls have not come, {verdict.twice} came twice")
        return verdict.arrived

    def verdict(self, calls: list[Call]) -> Verdict:
        """Judge what has arrived of the measured calls."""
        times = [(a.phone, a.moment) for a in self.arrivals() if is_measured(a.phone)]
        expected = {phone for phone, _ in calls if is_measured(phone)}
        counts = Counter(phone for phone, _ in times)
        return Verdict(
            arrived=dict(reversed(times)),
            lost=len(expected - counts.keys()),
            twice=sum(count - 1 for count in counts.values()),
        )

    def _ask(self, method: str, path: str) -> str:
        self._connection.request(method, path)
        return self._connection.getresponse().read().decode()


@contextmanager
def carrier(processes: Processes) -> Iterator[Judge]:
    """A loopback carrier in a process of its own."""
    child = processes.start("carrier", ["-m", "bench.carrier"])
    try:
        port = child.wait_for("\n").strip()
        yield Judge(f"http://127.0.0.1:{port}")
    finally:
        end([child])
