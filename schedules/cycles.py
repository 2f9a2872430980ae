"""The days of "every N days, weeks, months or years", each found by its index from the first."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime
from enum import StrEnum
from itertools import count
from typing import NamedTuple, Protocol

from schedules.walls import Named

LAST_ORDINAL = date.max.toordinal()


class MonthEnd(StrEnum):
    """What becomes of days 29 to 31 in a month that has no such day."""

    LAST = "last"
    SKIP = "skip"


class Day(NamedTuple):
    """A day of a cycle; `instead_of` is the number of the day that its month does not have."""

    day: date
    instead_of: int = 0


class Cycle(Protocol):
    """Days by index, in order; index 0 is the first one from the anchor's own day on."""

    def day(self, index: int) -> Day:
        """Raises OverflowError where the calendar ends."""

    def index_before(self, ordinal: int) -> int:
        """An index such that every lower one is a day before the ordinal's."""


@dataclass(frozen=True, slots=True)
class DayCycle:
    """The same days of a cycle of so many days, as in every second week on Monday and Friday."""

    start: int
    length: int
    days: tuple[int, ...]
    passed: int  # days of the anchor's own cycle that lie before the anchor

    def day(self, index: int) -> Day:
        """Raises OverflowError where the calendar ends."""
        cycle, position = divmod(index + self.passed, len(self.days))
        ordinal = self.start + cycle * self.length + self.days[position]
        if ordinal > LAST_ORDINAL:
            raise OverflowError
        return Day(date.fromordinal(ordinal))

    def index_before(self, ordinal: int) -> int:
        """An index such that every lower one is a day before the ordinal's."""
        cycle = (ordinal - self.start) // self.length
        return max(cycle * len(self.days) - self.passed, 0)


@dataclass(frozen=True, slots=True)
class MonthCycle:
    """The same day of every so many months, or the last one of a shorter month."""

    first: date
    months: int

    def day(self, index: int) -> Day:
        """Raises OverflowError where the calendar ends."""
        year, month = divmod(self.first.year * 12 + self.first.month - 1 + index * self.months, 12)
        if year > MAXYEAR:
            raise OverflowError
        last = monthrange(year, month + 1)[1]
        if self.first.day > last:
            return Day(date(year, month + 1, last), instead_of=self.first.day)
        return Day(date(year, month + 1, self.first.day))

    def index_before(self, ordinal: int) -> int:
        """An index such that every lower one is a day before the ordinal's."""
        day = date.fromordinal(ordinal)
        months = (day.year - self.first.year) * 12 + day.month - self.first.month
        return max(months // self.months, 0)


@dataclass(frozen=True, slots=True)
class CycleWalls:
    """One wall time on each day of a cycle."""

    wall: datetime
    cycle: Cycle
    month_end: MonthEnd

    def walls_from(self, wall: datetime) -> Iterator[Named]:
        """In order, each once, begun early enough to hold the first one from `wall` on."""
        for index in count(self.cycle.index_before(wall.toordinal())):
            yield self.wall_at(index)

    def wall_at(self, index: int) -> Named:
        """Raises OverflowError where the calendar ends."""
        day, instead_of = self.cycle.day(index)
        wall = datetime.combine(day, self.wall.time())
        if not instead_of:
            return Named(wall)
        if self.month_end is MonthEnd.SKIP:
            return Named(wall, f"this month has no day {instead_of}", is_missing=True)
        return Named(wall, f"moved from day {instead_of} to the last day, {day.day}")
