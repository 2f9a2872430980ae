"""Does it matter how many schedules wait? Polaris with few and with a million armed ahead."""

from typing import Any

from bench.contenders.polaris_runners import PolarisRunners
from bench.figures import Spread, percentile, ratios, spread
from bench.measures.lateness import OFFSETS
from bench.memory import watched
from bench.polaris import Polaris
from bench.processes import end
from bench.trial import Bench, make_calls

FEW, MANY = 1_000, 1_000_000
_LEAD = 20  # seconds; ample for handing over a thousand calls


def measure(bench: Bench) -> dict[str, Any]:
    """Drain, lateness and memory with few and with many waiting, in interleaved rounds."""
    stacks = {count: _stack(bench, count) for count in (FEW, MANY)}
    rounds: dict[int, list[dict[str, float]]] = {FEW: [], MANY: []}
    for turn in range(bench.rounds):
        for count, polaris in stacks.items():
            rounds[count].append(_one_round(bench, polaris))
            print(f"  round {turn + 1}, {count} waiting: {_shown(rounds[count][-1])}", flush=True)
    for polaris in stacks.values():
        bench.server.drop(polaris.database_url)
    return {
        "calls": bench.calls,
        "few": _spreads(rounds[FEW]),
        "many": _spreads(rounds[MANY]),
        "many_to_few": {
            name: ratios([one[name] for one in rounds[MANY]], [one[name] for one in rounds[FEW]])
            for name in ("rate", "p50", "p99")
        },
        "waiting": [FEW, MANY],
    }


def _stack(bench: Bench, count: int) -> Polaris:
    polaris = Polaris(
        bench.processes,
        carrier_url=bench.judge.url,
        database_url=bench.server.create(f"waiting_{count}"),
        SCHEDULER_WORKERS=str(PolarisRunners.WORKERS),
    )
    polaris.migrate()
    polaris.rows("waiting", count)
    return polaris


def _one_round(bench: Bench, polaris: Polaris) -> dict[str, float]:
    """Both sets of calls, by runners that have just been started."""
    runners = polaris.start_runners(PolarisRunners.RUNNERS)
    schedule = lambda calls: polaris.rows("calls", calls)  # noqa: E731
    try:
        bench.judge.reset()
        drain = make_calls(bench.judge, schedule, [0.0] * bench.calls, _LEAD)
        bench.judge.all_arrived(drain.calls)
        bench.judge.reset()
        with watched(runners) as memory:
            spread_out = make_calls(bench.judge, schedule, OFFSETS, _LEAD)
        bench.judge.all_arrived(spread_out.calls)
    finally:
        end(runners)
    first, last = memory.thirds()
    return {
        "rate": drain.rate,
        "p50": 1000 * percentile(spread_out.lateness, 50),
        "p99": 1000 * percentile(spread_out.lateness, 99),
        "memory_first": first,
        "memory_last": last,
        "memory_growth": last / first,
        "lost": drain.verdict.lost + spread_out.verdict.lost,
        "twice": drain.verdict.twice + spread_out.verdict.twice,
    }


def _spreads(rounds: list[dict[str, float]]) -> dict[str, Spread]:
    return {name: spread([one[name] for one in rounds]) for name in rounds[0]}


def _shown(one: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in one.items())
