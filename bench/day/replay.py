"""Replays the day: one process claims as a runner does, at simulated moments; others settle."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from bench.day import rows
from bench.day.settler import settle_all
from bench.day.settling import Batch, settle
from schedules.claims import claim_due
from schedules.gate import HORIZON
from schedules.jobstore import first_execution
from schedules.models import ActiveSchedule
from schedules.waiting import what_waits

_LIMIT = 1000
_LEASE = timedelta(hours=1)  # of simulated time: nobody dies
_PATIENCE = 600  # seconds; a limit for a machine under load, not a claim
_AHEAD = 8  # claims that may wait to be settled
# A runner looks for what is too late once a second of its own time, which hardly passes here.
_LOOK_BACK = timedelta(minutes=1)


class Settlers:
    """Processes that settle claims; none at all settle in this one."""

    def __init__(self, count: int, seed: int) -> None:
        self._seed = seed
        self.counted: Counter[str] = Counter()
        self._under_way = 0
        spawned = multiprocessing.get_context("spawn")
        self._work = spawned.Queue()
        self._done = spawned.Queue()
        self._processes = [
            spawned.Process(target=settle_all, args=(self._work, self._done, seed), daemon=True)
            for _ in range(count)
        ]
        for each in self._processes:
            each.start()

    def take(self, batch: Batch) -> None:
        """Settle it soon; returns when few are waiting."""
        if not self._processes:
            self.counted += settle(batch, self._seed)
            return
        self._work.put(batch)
        self._under_way += 1
        while self._under_way >= _AHEAD:
            self._collect()

    def finish(self) -> None:
        """Returns when all are settled."""
        while self._under_way:
            self._collect()

    def end(self) -> None:
        """Away with the processes."""
        for _ in self._processes:
            self._work.put(None)
        for each in self._processes:
            each.join()

    def _collect(self) -> None:
        told = self._done.get(timeout=_PATIENCE)
        if isinstance(told, str):
            raise RuntimeError(told)
        self.counted += told
        self._under_way -= 1


def replay(
    *, start: datetime, tick: timedelta, settlers: Settlers, tell: Callable[[str], object]
) -> dict[str, Any]:
    """The whole day. While the gate holds calls back it is asked again as soon as its next slots
    can be had; otherwise what is due is looked for every `tick`."""
    end, now, back = start + timedelta(days=1), start, start
    places = int(settings.CALLS_PER_SECOND * HORIZON.total_seconds())
    backlog: dict[datetime, int] = {}
    told: dict[str, Any] = {"claims": 0, "claimed": 0, "claim_seconds": 0.0, "vacuum_seconds": 0.0}
    minute, hour = start, start
    while now < end or _goes_on(now, end):
        while minute <= min(now, end):
            settlers.finish()
            backlog[minute] = what_waits(minute).count
            minute += timedelta(minutes=1)
        if now >= hour + timedelta(hours=1):
            hour += timedelta(hours=1)
            settlers.finish()
            told["vacuum_seconds"] += _timed(lambda: rows.vacuum("active_schedules"))
            tell(f"{now:%H:%M}: {told['claimed']:,} claimed, {backlog[max(backlog)]:,} wait")
        since = time.perf_counter()
        looks_back = now >= back
        claims = claim_due(
            runner_id="runner_day", moment=now, limit=_LIMIT, lease=_LEASE, looks_back=looks_back
        )
        told["claim_seconds"] += time.perf_counter() - since
        if looks_back and len(claims) < _LIMIT:
            back = now + _LOOK_BACK
        if claims:
            begins = {armed.pk: armed.begins_at for armed in claims}
            settlers.take(Batch(claims[0].lease, now, begins))
            told["claims"] += 1
            told["claimed"] += len(claims)
        is_held_back = len(claims) >= min(places, _LIMIT)
        now = now + HORIZON if is_held_back else _next_look(now, start, tick, settlers)
    settlers.finish()
    peak = max(backlog, key=lambda moment: backlog[moment])
    return told | {
        "decided": dict(settlers.counted),
        "peak_backlog": backlog[peak],
        "peak_at": peak.isoformat(),
        "minutes_with_backlog": sum(count > 0 for count in backlog.values()),
        "backlog": [backlog[moment] for moment in sorted(backlog)],
    }


def _goes_on(now: datetime, end: datetime) -> bool:
    """Past midnight what the gate has held back is still claimed; what is due then is not."""
    left = ActiveSchedule.objects.filter(next_execution__lt=end)
    return now < end + timedelta(hours=1) and left.exists()


def _next_look(now: datetime, start: datetime, tick: timedelta, settlers: Settlers) -> datetime:
    """The next multiple of `tick` at which something may be due."""
    due = first_execution(now)
    if due is None or due <= now:
        return start + ((now - start) // tick + 1) * tick
    return max(start + ((now - start) // tick + 1) * tick, start + -((start - due) // tick) * tick)


def _timed(job: Callable[[], object]) -> float:
    since = time.perf_counter()
    job()
    return time.perf_counter() - since
