"""The day from its rows to its checks."""

import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any

from bench.day import checks, patterns, replay, rows

THE_DAY = date(2026, 3, 9)  # a Monday; in America the clock was changed the night before


def simulate(
    schedules: int, *, settlers: int, seed: int, tell: Callable[[str], object]
) -> dict[str, Any]:
    """Rows, the day, the checks."""
    start = datetime.combine(THE_DAY, clock(), UTC)
    seconds = {}
    since = time.perf_counter()
    drawn = patterns.draw(min(schedules, patterns.MOST), day=THE_DAY, seed=seed)
    seconds["patterns"] = time.perf_counter() - since

    since = time.perf_counter()
    rows.write(drawn, schedules, start=start)
    rows.vacuum("call_schedules", "active_schedules")
    seconds["rows"] = time.perf_counter() - since
    before = rows.sizes()
    tell(f"{schedules:,} schedules are written in {seconds['rows']:.0f} s")

    since = time.perf_counter()
    workers = replay.Settlers(settlers, seed)
    try:
        told = replay.replay(start=start, tick=_tick(schedules), settlers=workers, tell=tell)
    finally:
        workers.end()
    seconds["day"] = time.perf_counter() - since

    since = time.perf_counter()
    found = checks.violations(end=start + timedelta(days=1))
    seconds["checks"] = time.perf_counter() - since
    return told | {
        "schedules": schedules,
        "settlers": settlers,
        "seed": seed,
        "tick_seconds": _tick(schedules).total_seconds(),
        "seconds": seconds,
        "claimed_per_second": told["claimed"] / seconds["day"],
        "rules_per_second": len(drawn) / seconds["patterns"],
        "outcomes": checks.outcomes(),
        "violations": found,
        "sizes_before": before,
        "sizes_after": rows.sizes(),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _tick(schedules: int) -> timedelta:
    """The more there is to do, the more often it is looked for."""
    return timedelta(seconds=min(60, max(1, 10_000_000 // schedules)))
