"""Wall times as a rule names them, before a zone says at which instants they are."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import NamedTuple, Protocol


class Named(NamedTuple):
    """A naive wall time that a rule names; `remark` says how the calendar has changed it."""

    wall: datetime
    remark: str = ""
    is_missing: bool = False  # the calendar has no such day, and the rule takes no other


class Walls(Protocol):
    """All wall times of a rule, from its anchor on."""

    def walls_from(self, wall: datetime) -> Iterator[Named]:
        """In order, each once, begun early enough to hold the first one from `wall` on.

        Raises OverflowError where the calendar ends."""


def at_times(days: Iterable[date], times: tuple[time, ...], start: datetime) -> Iterator[Named]:
    """The times (in order) of each of the days (in order), from `start` on."""
    for day in days:
        if day < start.date():
            continue
        first = bisect_left(times, start.time()) if day == start.date() else 0
        for index in range(first, len(times)):
            yield Named(datetime.combine(day, times[index]))
