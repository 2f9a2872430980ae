"""Does it help to have more runners? One, two and four on one PostgreSQL: drain and lateness."""

from typing import Any, ClassVar

from bench.contenders.base import Contender
from bench.contenders.polaris_runners import PolarisRunners
from bench.figures import ratios, spread
from bench.measures.lateness import OFFSETS, PER_SECOND, lateness
from bench.measures.rounds import counts
from bench.trial import Bench, Trial, run_trial

COUNTS = [1, 2, 4]


def measure(bench: Bench) -> dict[str, Any]:
    """Each number of runners once, then each again; ratios to one runner round by round."""
    settings = {count: _of(count) for count in COUNTS}
    drains: dict[int, list[Trial]] = {count: [] for count in COUNTS}
    evenly: dict[int, list[Trial]] = {count: [] for count in COUNTS}
    for turn in range(bench.rounds):
        for count, contender in settings.items():
            drains[count].append(run_trial(bench, contender, [0.0] * bench.calls))
            evenly[count].append(run_trial(bench, contender, OFFSETS))
            print(
                f"  round {turn + 1}, {count} runners: {drains[count][-1].rate:.0f}/s, "
                f"late by {lateness(evenly[count][-1:])}",
                flush=True,
            )
    rates = {count: [trial.rate for trial in made] for count, made in drains.items()}
    return {
        "calls": bench.calls,
        "per_second": PER_SECOND,
        "runners": {
            str(count): counts(contender, drains[count] + evenly[count])
            | {
                "rate": spread(rates[count]),
                "to_one": ratios(rates[count], rates[1]),
            }
            | {name: spread(each) for name, each in lateness(evenly[count]).items()}
            for count, contender in settings.items()
        },
    }


def _of(count: int) -> type[Contender]:
    class Several(PolarisRunners):
        RUNNERS: ClassVar[int] = count
        settings = f"{count} runners, SCHEDULER_WORKERS={PolarisRunners.WORKERS}"

    return Several
