"""So many calls due at one moment: how long until the last has reached the carrier?"""

from typing import Any

from bench.figures import Spread, ratios, spread
from bench.measures.rounds import counts, interleaved
from bench.trial import Bench


def measure(bench: Bench) -> dict[str, Any]:
    """Every contender's rates, and their ratios to the bare SDK loop and to the best peer."""
    trials = interleaved(bench, [0.0] * bench.calls, rounds=bench.rounds)
    rates = {each.name: [trial.rate for trial in made] for each, made in trials.items()}
    peers = [each.name for each in trials if each.is_peer]
    best = max(peers, key=lambda name: spread(rates[name])["median"], default="")
    return {
        "calls": bench.calls,
        "best_peer": best,
        "contenders": {
            each.name: counts(each, made)
            | {
                "rates": rates[each.name],
                "rate": spread(rates[each.name]),
                "to_bare": ratios(rates[each.name], rates["bare"]) if "bare" in rates else None,
                "to_best_peer": ratios(rates[each.name], rates[best]) if best else None,
                "written_after": _spread_of_known([trial.written_after for trial in made]),
            }
            for each, made in trials.items()
        },
    }


def _spread_of_known(values: list[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return spread(known) if known else None
