"""One contender, one set of calls: hands them over ahead of their time and sees what arrives."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import redis

from bench.account import number, warm_up_number
from bench.contenders.base import Call, Contender, Place
from bench.databases import Server, ask
from bench.judge import Judge, Verdict
from bench.processes import Failed, Processes, wait_until

_WARM_UP_CALLS = 16  # open every thread's connections, as a process that has run for a while has
_WARM_UP_SECONDS = 4.0  # before the measured calls
_IDLE_SECONDS = 1.0
_LONGEST_LEAD = 240


@dataclass(frozen=True, slots=True)
class Bench:
    """What a run works with."""

    processes: Processes
    server: Server
    redis_url: str
    judge: Judge
    results: Path
    contenders: list[type[Contender]]
    calls: int
    rounds: int
    schedules: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What one contender did with its calls."""

    due: float
    calls: list[Call]
    verdict: Verdict
    load_average: float  # of the last minute, before the calls were handed over
    rows_missing: int | None  # None for a contender that writes none
    written_after: float | None  # seconds from the first due time until the last row was written

    @property
    def drained_after(self) -> float:
        """Seconds from the first due time to the last arrival."""
        return max(self.verdict.arrived.values(), default=float("inf")) - self.due

    @property
    def rate(self) -> float:
        """Calls a second from the first due time to the last arrival."""
        return len(self.verdict.arrived) / self.drained_after

    @property
    def lateness(self) -> list[float]:
        """Seconds that each arrived call came after its time, in the calls' order."""
        arrived = self.verdict.arrived
        return [arrived[phone] - moment for phone, moment in self.calls if phone in arrived]


_leads: dict[str, int] = {}


def run_trial(bench: Bench, contender: type[Contender], offsets: list[float]) -> Trial:
    """Have a contender make calls that are due `offsets` seconds after a common moment.

    Everything of it is fresh: database, broker, processes. Its lead, the time between the handing
    over and that moment, is doubled until it suffices."""
    while True:
        lead = _leads.setdefault(contender.name, 8 + len(offsets) // 200)
        try:
            return _run_once(bench, contender, offsets, lead)
        except TookTooLong:
            if lead > _LONGEST_LEAD:
                raise
            _leads[contender.name] = 2 * lead


class TookTooLong(Failed):
    """The calls were handed over too late to be made on time."""


def _run_once(bench: Bench, contender: type[Contender], offsets: list[float], lead: int) -> Trial:
    database = bench.server.create(contender.name)
    bench.judge.reset()
    place = Place(bench.processes, bench.judge.url, database, bench.redis_url)
    taking_part = contender(place)
    try:
        taking_part.prepare()
        taking_part.start()
        trial = make_calls(bench.judge, taking_part.schedule, offsets, lead)
        if contender.rows:
            missing = rows_missing(database, contender.rows, len(offsets) + _WARM_UP_CALLS)
            trial = replace(trial, rows_missing=missing, written_after=time.time() - trial.due)
    finally:
        taking_part.stop()
        _empty(bench.redis_url)
    # Once more after it has ended: a second call may come late.
    trial = replace(trial, verdict=bench.judge.verdict(trial.calls))
    bench.server.drop(database)
    return trial


def make_calls(
    judge: Judge, schedule: Callable[[list[Call]], None], offsets: list[float], lead: int
) -> Trial:
    """Hand the calls over in time, a few to warm up first, and wait until they have arrived."""
    time.sleep(_IDLE_SECONDS)
    due = float(int(time.time()) + lead)
    first = [warm_up_number(index) for index in judge.numbers(_WARM_UP_CALLS)]
    warm_up = [(phone, due - _WARM_UP_SECONDS) for phone in first]
    load_average = os.getloadavg()[0]
    phones = map(number, judge.numbers(len(offsets)))
    calls = [(phone, due + offset) for phone, offset in zip(phones, offsets, strict=True)]
    try:
        schedule(warm_up + calls)
    except Failed:
        if time.time() < due - _WARM_UP_SECONDS:
            raise
        raise TookTooLong from None  # what is in the past is refused
    if time.time() > due - _WARM_UP_SECONDS - 0.5:
        raise TookTooLong
    judge.wait_for(warm_up + calls)
    return Trial(
        due, calls, judge.verdict(calls), load_average, rows_missing=None, written_after=None
    )


def rows_missing(database: str, query: str, expected: int) -> int:
    """Wait until the rows are written; returns how many are not."""
    with suppress(Failed):
        wait_until(lambda: ask(database, query) >= expected, what="rows", patience=20)
    return max(0, expected - ask(database, query))


def _empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushdb()
