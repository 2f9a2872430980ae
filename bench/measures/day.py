"""A day of many schedules through Polaris's own claims and rules, with a simulated clock."""

import json
from typing import Any

from bench.databases import execute
from bench.polaris import Polaris
from bench.processes import Failed
from bench.trial import Bench

_SEED = 20_260_309
_SETTLERS = 2
_SLOWEST, _FASTEST = 1000, 10_000  # calls a second


def measure(bench: Bench) -> dict[str, Any]:
    """One day; Failed where anything is found that must never be."""
    pace = min(_FASTEST, max(_SLOWEST, bench.schedules // 1000))
    database = bench.server.create("day")
    # What a power failure would lose is made again by running it again.
    name = database.rpartition("/")[2]
    execute(bench.server.url, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    polaris = Polaris(
        bench.processes,
        carrier_url=bench.judge.url,
        database_url=database,
        CALLS_PER_SECOND=str(pace),
    )
    polaris.migrate()
    told = polaris.run_module("bench.day", str(bench.schedules), str(_SETTLERS), str(_SEED))
    found = json.loads(told.strip().splitlines()[-1]) | {"pace": pace}
    bench.server.drop(database)
    if any(found["violations"].values()):
        raise Failed(f"found what must never be: {found['violations']}")
    print(f"  {found['claimed']:,} claimed, {found['claimed_per_second']:.0f}/s", flush=True)
    return found
