"""Calls that another process arms when they are due: how long from the commit to the carrier?"""

from typing import Any

from bench.account import number
from bench.figures import percentile, spread
from bench.measures.lateness import PERCENTILES
from bench.polaris import Polaris
from bench.processes import end
from bench.trial import Bench

CALLS = 200
_WARM_UP = 20  # calls that open the connections of every thread
_POLLS = {"0.25": "as it is set up", "60": "hardly ever"}
_RUNNERS = 2


def measure(bench: Bench) -> dict[str, Any]:
    """Milliseconds by how often idle runners look for themselves, in interleaved rounds."""
    stacks = {poll: _stack(bench, poll) for poll in _POLLS}
    rounds: dict[str, list[list[float]]] = {poll: [] for poll in _POLLS}
    try:
        for _ in range(bench.rounds):
            for poll, polaris in stacks.items():
                rounds[poll].append(_one_round(bench, polaris))
                print(f"  polled every {poll} s: {figures(rounds[poll])}", flush=True)
    finally:
        for polaris in stacks.values():
            end(polaris.children)
            bench.server.drop(polaris.database_url)
    return {
        "calls": CALLS,
        "runners": _RUNNERS,
        "polls": {poll: {"why": why} | figures(rounds[poll]) for poll, why in _POLLS.items()},
    }


def figures(rounds: list[list[float]]) -> dict[str, Any]:
    """Each percentile, over the rounds."""
    return {
        name: spread([percentile(waits, per_cent) for waits in rounds])
        for name, per_cent in PERCENTILES.items()
    }


def _stack(bench: Bench, poll: str) -> Polaris:
    polaris = Polaris(
        bench.processes,
        carrier_url=bench.judge.url,
        database_url=bench.server.create(f"waking_{poll.replace('.', '_')}"),
        SCHEDULER_POLL_SECONDS=poll,
    )
    polaris.migrate()
    polaris.start_runners(_RUNNERS)
    return polaris


def _one_round(bench: Bench, polaris: Polaris) -> list[float]:
    bench.judge.reset()
    committed: dict[str, float] = polaris.rows(
        "one by one", [number(index) for index in bench.judge.numbers(_WARM_UP + CALLS)]
    )
    measured = list(committed.items())[_WARM_UP:]
    bench.judge.wait_for(list(committed.items()))
    arrived = bench.judge.all_arrived(measured)
    return [1000 * (arrived[phone] - moment) for phone, moment in measured]
