"""What a POST /schedule/ costs beside the barest view that inserts a row, idle and in a burst."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.contenders.polaris_runners import PolarisRunners
from bench.databases import execute
from bench.figures import percentile
from bench.polaris import Polaris
from bench.processes import Failed, end
from bench.trial import Bench, make_calls

_WARM_UP = 50
_REQUESTS = 500  # of each view, a round
_BURSTS = 3  # a round; each is short, and a p99 needs requests
_LEAD = 15  # seconds
_PATHS = {"polaris": "/schedule/", "barest": "/barest/"}
_BODY = json.dumps(
    {
        "phone": "+16505550000",
        "scheduled_time": "2099-01-15T09:00:00",
        "timezone": "America/New_York",
        "description": "Follow-up call",
    }
)

# Seconds of each request, by view.
Times = dict[str, list[float]]


class Client:
    """One keep-alive connection, with a token."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str) -> float:
        """Seconds that a POST took. Raises Failed unless it succeeded."""
        begun = time.perf_counter()
        self._connection.request("POST", path, _BODY, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise Failed(f"{path} answered {answer.status}: {said[:500]!r}")
        return time.perf_counter() - begun

    def alternate(self, go_on: Callable[[int], bool]) -> Times:
        """One request to each view in turn, for as long as `go_on` of the turn is true."""
        self._connection.close()  # uvicorn drops one that has been silent for five seconds
        self.post(_PATHS["barest"])
        times: Times = {name: [] for name in _PATHS}
        turn = 0
        while go_on(turn):
            for name, path in _PATHS.items():
                times[name].append(self.post(path))
            turn += 1
        return times


def measure(bench: Bench) -> dict[str, Any]:
    """The times of both views while the runners idle, and while they drain a burst."""
    polaris = Polaris(
        bench.processes,
        carrier_url=bench.judge.url,
        database_url=bench.server.create("web"),
        settings="bench.barest.settings",
        SCHEDULER_WORKERS=str(PolarisRunners.WORKERS),
    )
    polaris.migrate()
    execute(
        polaris.database_url,
        "CREATE TABLE bench_wishes (id bigserial PRIMARY KEY, phone varchar(16) NOT NULL, "
        "scheduled_time varchar(32) NOT NULL)",
    )
    token = polaris.rows("users", {"caller": False})["caller"]
    idle: Times = {name: [] for name in _PATHS}
    burst: Times = {name: [] for name in _PATHS}
    try:
        polaris.start_web()
        polaris.start_runners(PolarisRunners.RUNNERS)
        client = Client(polaris.web_port, token)
        client.alternate(lambda turn: turn < _WARM_UP)
        for turn in range(bench.rounds):
            _add(idle, client.alternate(lambda turn: turn < _REQUESTS))
            for _ in range(_BURSTS):
                _add(burst, _during_a_burst(bench, polaris, client))
            print(f"  round {turn + 1}: {_shown(idle, burst)}", flush=True)
    finally:
        end(polaris.children)
    bench.server.drop(polaris.database_url)
    return _figures(idle, burst, bench.calls)


def _shown(idle: Times, burst: Times) -> str:
    return "; ".join(
        f"{name} idle p50 {1000 * percentile(idle[name], 50):.1f} ms, p99 idle "
        f"{1000 * percentile(idle[name], 99):.1f}, burst {1000 * percentile(burst[name], 99):.1f}"
        for name in _PATHS
    )


def _during_a_burst(bench: Bench, polaris: Polaris, client: Client) -> Times:
    """Requests from the burst's moment until its last call has arrived."""
    bench.judge.reset()
    begun, over = threading.Event(), threading.Event()
    found: list[Times] = []

    def ask() -> None:
        begun.wait()
        found.append(client.alternate(lambda _: not over.is_set()))

    def schedule(calls: list[tuple[str, float]]) -> None:
        polaris.rows("calls", calls)
        due = calls[-1][1]
        threading.Timer(max(0.0, due - time.time()), begun.set).start()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        burst = make_calls(bench.judge, schedule, [0.0] * bench.calls, _LEAD)
        bench.judge.all_arrived(burst.calls)
    finally:
        over.set()
        begun.set()
        asking.join()
    if not found:
        raise Failed("a request failed during the burst")
    return found[0]


def _figures(idle: Times, burst: Times, calls: int) -> dict[str, Any]:
    times = {
        name: {"idle": _milliseconds(idle[name]), "burst": _milliseconds(burst[name])}
        for name in _PATHS
    }
    ours, bare = times["polaris"], times["barest"]
    return {
        "burst_of": calls,
        "times": times,
        "p50_to_barest": ours["idle"]["p50"] / bare["idle"]["p50"],
        "p99_to_barest": ours["idle"]["p99"] / bare["idle"]["p99"],
        "p99_burst_to_idle": ours["burst"]["p99"] / ours["idle"]["p99"],
        "barest_p99_burst_to_idle": bare["burst"]["p99"] / bare["idle"]["p99"],
    }


def _milliseconds(times: list[float]) -> dict[str, float]:
    return {
        "requests": len(times),
        "p50": 1000 * percentile(times, 50),
        "p99": 1000 * percentile(times, 99),
    }


def _add(to: Times, more: Times) -> None:
    for name, times in more.items():
        to[name] += times
