"""Calls spread evenly, twenty a second: how long after its time does each reach the carrier?"""

from typing import Any

from bench.figures import percentile, ratios, spread
from bench.measures.rounds import counts, interleaved
from bench.trial import Bench, Trial

PER_SECOND = 20
SECONDS = 30
OFFSETS = [turn / PER_SECOND for turn in range(PER_SECOND * SECONDS)]
PERCENTILES = {"p50": 50, "p99": 99, "max": 100}


def measure(bench: Bench) -> dict[str, Any]:
    """Every contender's lateness in milliseconds, and p99 against the best peer's."""
    trials = interleaved(bench, OFFSETS, rounds=bench.rounds)
    figures = {each.name: lateness(made) for each, made in trials.items()}
    p99 = {name: found["p99"] for name, found in figures.items()}
    peers = [each.name for each in trials if each.is_peer]
    best = min(peers, key=lambda name: spread(p99[name])["median"], default="")
    return {
        "calls": len(OFFSETS),
        "per_second": PER_SECOND,
        "best_peer": best,
        "contenders": {
            each.name: counts(each, made)
            | {name: spread(values) for name, values in figures[each.name].items()}
            | {"rounds": figures[each.name]}
            | {"p99_to_best_peer": ratios(p99[each.name], p99[best]) if best else None}
            for each, made in trials.items()
        },
    }


def lateness(trials: list[Trial]) -> dict[str, list[float]]:
    """Each percentile of each trial, in milliseconds."""
    return {
        name: [1000 * percentile(trial.lateness, per_cent) for trial in trials]
        for name, per_cent in PERCENTILES.items()
    }
