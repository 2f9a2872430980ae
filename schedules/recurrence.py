"""At which moments does a schedule call? Anchor + zone + rule give UTC instants; nothing else does.

A rule names wall times (every so many days, a crontab, an RRULE) or spans of elapsed time. Every
one is computed from the anchor, never from the one before, so nothing drifts, and the search for
the next one starts near the moment asked about instead of at the anchor. What is called and what
is shown beforehand come from the same turns. What is promised to users is in docs/time.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from heapq import heappop, heappush
from itertools import count, islice, pairwise, takewhile
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from schedules.crontab import Crontab, CronWalls
from schedules.cycles import Cycle, CycleWalls, DayCycle, MonthCycle, MonthEnd
from schedules.localtime import Gap, readings, resolve, to_wall
from schedules.public_holidays import holiday_on
from schedules.rrule import Recurrence, recurrence_walls
from schedules.walls import Named, Walls

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# A gap is a day at most (Apia's), so a call that one has moved is at most so much later.
LONGEST_GAP = timedelta(hours=25)

__all__ = [
    "Frequency",
    "Mark",
    "Marked",
    "MonthEnd",
    "Rule",
    "due_occurrences",
    "marked_occurrences",
    "next_occurrence",
    "occurrences",
]


class Frequency(StrEnum):
    """The unit of a rule: hours are elapsed time, the others keep the wall time."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a schedule repeats: by a frequency, a crontab or a recurrence (an RRULE).

    Weekdays count from Monday = 0; `until` is aware and inclusive. `count` counts what the rule
    calls before the excluded days (local), moments and holidays are taken away."""

    frequency: Frequency | None = None
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    weekdays: frozenset[int] = frozenset()
    gap: Gap = Gap.FORWARD
    month_end: MonthEnd = MonthEnd.LAST
    crontab: Crontab | None = None
    recurrence: Recurrence | None = None
    excluded_days: frozenset[date] = frozenset()
    excluded_moments: frozenset[datetime] = frozenset()
    holidays_of: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "weekdays", frozenset(self.weekdays))
        if [self.frequency, self.crontab, self.recurrence].count(None) != 2:
            raise ValueError("A rule has a frequency, a crontab or a recurrence.")
        if self.interval < 1 or (self.count is not None and self.count < 1):
            raise ValueError("The interval and the count are at least 1.")
        if not self.weekdays <= frozenset(range(7)):
            raise ValueError("Weekdays are numbers from 0 (Monday) to 6.")
        if self.weekdays and self.frequency is not Frequency.WEEKLY:
            raise ValueError("Only a weekly rule has weekdays.")
        if any(each.tzinfo is None for each in (self.until, *self.excluded_moments) if each):
            raise ValueError("The end and what is excluded need an offset or a zone.")

    @property
    def excludes(self) -> bool:
        """Whether calls may be taken away from what the rule names."""
        return bool(self.excluded_days or self.excluded_moments or self.holidays_of)

    def without_exclusions(self) -> "Rule":
        """The rule with all that it names."""
        return replace(
            self, excluded_days=frozenset(), excluded_moments=frozenset(), holidays_of=""
        )


class Mark(StrEnum):
    """What a clock change, the calendar or a holiday did to an occurrence."""

    NONE = "none"
    MOVED = "moved"
    FIRST_OF_TWO = "first_of_two"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Marked:
    """An occurrence as it is shown beforehand.

    `at` is the instant in UTC, None where it is skipped; `wall` the naive local time as the rule
    names it; `because` says in words why it is moved, skipped or the first of two. It `is_shifted`
    where a change of the clock has moved it."""

    at: datetime | None
    wall: datetime
    mark: Mark = Mark.NONE
    because: str = ""
    is_shifted: bool = False


def occurrences(anchor: datetime, zone: ZoneInfo, rule: Rule | None) -> Iterator[datetime]:
    """Every occurrence in order, in UTC, to the end of the calendar or of the rule.

    The anchor is aware; without a rule it is the only occurrence. A frequency begins with it, even
    at the second of two equal wall times, unless its weekday is not among the rule's; a crontab or
    a recurrence begins with the first wall time that it names from the anchor's on. The wall time
    that is kept is the anchor's in the zone: an anchor whose tzinfo is the zone states it, also one
    inside a gap."""
    return _calls(anchor, zone, rule, anchor)


def next_occurrence(
    anchor: datetime, zone: ZoneInfo, rule: Rule | None, *, after: datetime
) -> datetime | None:
    """The first occurrence strictly later than an aware moment, in UTC."""
    return next((each for each in _calls(anchor, zone, rule, after) if each > after), None)


def due_occurrences(
    anchor: datetime,
    zone: ZoneInfo,
    rule: Rule | None,
    *,
    start: datetime,
    end: datetime,
    limit: int,
) -> list[datetime]:
    """The occurrences from start to end, both included, in UTC and in order; at most `limit`."""
    near = _calls(anchor, zone, rule, start)
    inside = takewhile(lambda moment: moment <= end, (each for each in near if each >= start))
    return list(islice(inside, max(limit, 0)))


def marked_occurrences(
    anchor: datetime, zone: ZoneInfo, rule: Rule | None, *, after: datetime
) -> Iterator[Marked]:
    """What is called and what is skipped strictly later than an aware moment, in order of time.

    The instants are those of `next_occurrence`. A skipped one stands where it would have been
    called; between two calls there may be very many of them (a crontab of every minute over
    excluded days): whoever shows them bounds their number."""
    for turn in _turns(anchor, zone, rule, after):
        if turn.at <= after:
            continue
        reason = "" if turn.is_skipped else _exclusion(turn, zone, rule)
        if reason or turn.is_skipped:
            yield Marked(None, turn.wall, Mark.SKIPPED, reason or turn.because)
        else:
            yield Marked(turn.at, turn.wall, turn.mark, turn.because, turn.is_in_a_gap)


def is_called_off(moment: datetime, zone: ZoneInfo, rule: Rule) -> bool:
    """Whether the rule calls nobody at that moment whatever would be called then: it has ended, or
    the moment or its local day is excluded."""
    if rule.until is not None and moment > rule.until:
        return True
    return bool(_exclusion(_Turn(moment, to_wall(moment, zone)), zone, rule))


class _Turn(NamedTuple):
    """A wall time of a rule in order of time; a skipped one has the instant it would have had."""

    at: datetime
    wall: datetime
    mark: Mark = Mark.NONE
    because: str = ""
    is_in_a_gap: bool = False

    @property
    def is_skipped(self) -> bool:
        return self.mark is Mark.SKIPPED


def _calls(
    anchor: datetime, zone: ZoneInfo, rule: Rule | None, moment: datetime
) -> Iterator[datetime]:
    """The instants called in order, begun early enough to hold the first one from `moment` on."""
    turns = _turns(anchor, zone, rule, moment)
    if rule is None or not rule.excludes:
        return (turn.at for turn in turns if not turn.is_skipped)
    return _calls_but_for_exclusions(anchor, zone, rule, turns)


def _calls_but_for_exclusions(
    anchor: datetime, zone: ZoneInfo, rule: Rule, turns: Iterator[_Turn]
) -> Iterator[datetime]:
    while (turn := next(turns, None)) is not None:
        if turn.is_skipped or turn.at in rule.excluded_moments:
            continue
        if not _excluded_day(turn, zone, rule):
            yield turn.at
        elif (later := _next_day(turn, zone)) is not None:
            # An excluded day of a crontab of every minute is not walked through.
            turns = _turns_since(later, anchor, zone, rule)


def _turns_since(moment: datetime, anchor: datetime, zone: ZoneInfo, rule: Rule) -> Iterator[_Turn]:
    return (turn for turn in _turns(anchor, zone, rule, moment) if turn.at >= moment)


def _exclusion(turn: _Turn, zone: ZoneInfo, rule: Rule | None) -> str:
    """Why a call is taken away, in words; empty where it is not."""
    if rule is None or not rule.excludes:
        return ""
    if turn.at in rule.excluded_moments:
        return "excluded by exdates"
    return _excluded_day(turn, zone, rule)


def _excluded_day(turn: _Turn, zone: ZoneInfo, rule: Rule) -> str:
    """Why nobody is called on the day on which the phone would ring; empty where one is."""
    wall = to_wall(turn.at, zone) if turn.mark is Mark.MOVED else turn.wall
    if wall.date() in rule.excluded_days:
        return "excluded by exdates"
    holiday = holiday_on(wall.date(), rule.holidays_of) if rule.holidays_of else ""
    return f"holiday: {holiday}" if holiday else ""


def _next_day(turn: _Turn, zone: ZoneInfo) -> datetime | None:
    """When the local day after the turn's first begins; None where that lies behind it."""
    try:
        midnight = datetime.combine(to_wall(turn.at, zone).date() + DAY, time.min)
        begins = resolve(midnight, zone)
    except OverflowError:
        return None
    return begins if begins is not None and begins > turn.at else None


def _turns(
    anchor: datetime, zone: ZoneInfo, rule: Rule | None, moment: datetime
) -> Iterator[_Turn]:
    """All turns of a rule to its end, begun early enough to hold the first from `moment` on."""
    if anchor.tzinfo is None:
        raise ValueError("The anchor needs an offset or a zone.")
    try:
        # An anchor in the zone itself stays as it is written: one inside a gap says 02:30.
        instant, wall = anchor.astimezone(UTC), to_wall(anchor, zone)
    except OverflowError:  # no such moment in the years 1 to 9999
        return iter(())
    if rule is None:
        return iter((_only_turn(instant, wall, zone),))
    series = _series(instant, wall, zone, rule)
    turns = series.turns_from(moment) if moment > instant else series.turns_from(instant)
    if rule.count is not None:
        last = _last_counted(instant, wall, zone, rule)
        turns = turns if last is None else takewhile(lambda turn: turn.at <= last, turns)
    if rule.until is not None:
        until = rule.until
        turns = takewhile(lambda turn: turn.at <= until, turns)
    return turns


@lru_cache(maxsize=4096)
def _last_counted(anchor: datetime, wall: datetime, zone: ZoneInfo, rule: Rule) -> datetime | None:
    """The instant at which a rule's count ends; None where the rule ends before."""
    if rule.count is None:
        return None
    series = _series(anchor, wall, zone, rule)
    if series.is_regular:
        return series.instant(rule.count - 1)
    called = (turn.at for turn in series.turns_from(anchor) if not turn.is_skipped)
    return next(islice(called, rule.count - 1, None), None)


def _series(anchor: datetime, wall: datetime, zone: ZoneInfo, rule: Rule) -> "_Series":
    if rule.frequency is Frequency.HOURLY:
        return _Elapsed(anchor, zone, rule.interval, HOUR)
    if rule.recurrence is not None and rule.recurrence.elapsed_unit is not None:
        return _Elapsed(anchor, zone, rule.recurrence.interval, rule.recurrence.elapsed_unit)
    return _WallClock(anchor, wall, zone, rule.gap, _walls(wall, rule))


def _walls(wall: datetime, rule: Rule) -> Walls:
    if rule.crontab is not None:
        return CronWalls(rule.crontab, wall)
    if rule.recurrence is not None:
        return recurrence_walls(rule.recurrence, wall)
    return CycleWalls(wall, _cycle(wall.date(), rule), rule.month_end)


def _cycle(first: date, rule: Rule) -> Cycle:
    match rule.frequency:
        case Frequency.DAILY:
            return DayCycle(first.toordinal(), rule.interval, (0,), 0)
        case Frequency.WEEKLY:
            days = tuple(sorted(rule.weekdays)) or (first.weekday(),)
            passed = sum(day < first.weekday() for day in days)
            monday = first.toordinal() - first.weekday()
            return DayCycle(monday, 7 * rule.interval, days, passed)
        case Frequency.MONTHLY:
            return MonthCycle(first, rule.interval)
        case _:
            return MonthCycle(first, 12 * rule.interval)


class _Series(Protocol):
    """The turns of a rule without its end, its count and its exclusions."""

    @property
    def is_regular(self) -> bool:
        """Whether every index has a call of its own, so that a count need not be counted."""

    def instant(self, index: int) -> datetime | None:
        """The instant of an index of a regular series; None where the calendar ends before."""

    def turns_from(self, moment: datetime) -> Iterator[_Turn]:
        """In order, begun early enough to hold the first from a moment not before the anchor."""


@dataclass(frozen=True, slots=True)
class _Elapsed:
    """Every N hours or minutes of elapsed time, whatever the clocks on the wall do."""

    anchor: datetime
    zone: ZoneInfo
    every: int
    unit: timedelta

    is_regular = True

    def instant(self, index: int) -> datetime | None:
        try:
            return self.anchor + index * self.every * self.unit
        except OverflowError:
            return None

    def turns_from(self, moment: datetime) -> Iterator[_Turn]:
        for index in count((moment - self.anchor) // self.unit // self.every):
            at = self.instant(index)
            if at is None:
                return
            try:
                wall = to_wall(at, self.zone)
            except OverflowError:  # the zone's own calendar ends first
                return
            yield _Turn(at, wall)


@dataclass(frozen=True, slots=True)
class _WallClock:
    """The instants of wall times, each once."""

    anchor: datetime
    wall: datetime
    zone: ZoneInfo
    gap: Gap
    walls: Walls

    @property
    def is_regular(self) -> bool:
        return (
            isinstance(self.walls, CycleWalls)
            and self.walls.month_end is MonthEnd.LAST
            and self.gap is Gap.FORWARD
            and not _has_jumped_a_day(self.zone)
        )

    def instant(self, index: int) -> datetime | None:
        if not isinstance(self.walls, CycleWalls):
            raise TypeError("Only the days of a cycle have an index.")
        try:
            return _turn(self.walls.wall_at(index), self.anchor, self.zone, self.gap).at
        except OverflowError:
            return None

    def turns_from(self, moment: datetime) -> Iterator[_Turn]:
        """Sorted, since a gap moves a wall time behind those that follow it.

        Where it meets another one, as Apia's 2011-12-30 does, there is one call."""
        moved: list[_Turn] = []
        for turn in self._unsorted(moment):
            if turn.is_in_a_gap:
                heappush(moved, turn)
                continue
            while moved and moved[0].at <= turn.at:
                yield _met(heappop(moved), turn)
            yield turn
        while moved:
            yield heappop(moved)

    def _unsorted(self, moment: datetime) -> Iterator[_Turn]:
        try:
            for named in self.walls.walls_from(self._first_wall(moment)):
                turn = _turn(named, self.anchor, self.zone, self.gap)
                if turn.at >= self.anchor:
                    yield turn
        except OverflowError:  # the calendar ends
            return

    def _first_wall(self, moment: datetime) -> datetime:
        """A wall time such that no earlier one is called at the moment or later."""
        wall = to_wall(moment, self.zone)
        try:
            elapsed_on_the_wall = wall - to_wall(moment - LONGEST_GAP, self.zone)
        except OverflowError:  # the calendar begins
            return self.wall
        skipped = max(elapsed_on_the_wall - LONGEST_GAP, timedelta(0))
        return max(wall - skipped, self.wall)


def _only_turn(anchor: datetime, wall: datetime, zone: ZoneInfo) -> _Turn:
    """That of a schedule without a rule."""
    try:
        return _turn(Named(wall), anchor, zone, Gap.FORWARD)._replace(at=anchor)
    except OverflowError:  # an hour from the calendar's end
        return _Turn(anchor, wall)


def _turn(named: Named, anchor: datetime, zone: ZoneInfo, gap: Gap) -> _Turn:
    """Raises OverflowError where the calendar ends."""
    wall = named.wall
    first, second = readings(wall, zone)
    if named.is_missing:
        return _Turn(first, wall, Mark.SKIPPED, named.remark)
    if first > second:
        because = f"the clock skips {wall:%H:%M} that day"
        mark = Mark.SKIPPED if gap is Gap.SKIP else Mark.MOVED
        return _Turn(first, wall, mark, because, is_in_a_gap=True)
    if first < anchor <= second:
        # An anchor at the second 01:30 of a night is that instant, not the first 01:30.
        return _Turn(second, wall)
    if named.remark:
        return _Turn(first, wall, Mark.MOVED, named.remark)
    if first < second:
        because = f"the clock shows {wall:%H:%M} twice that day; this is the first"
        return _Turn(first, wall, Mark.FIRST_OF_TWO, because)
    return _Turn(first, wall)


def _met(moved: _Turn, turn: _Turn) -> _Turn:
    """A moved turn, unless the other one is at its time already."""
    if moved.at < turn.at or moved.is_skipped:
        return moved
    because = f"{moved.because}, and {turn.wall:%H:%M} is called anyway"
    return moved._replace(mark=Mark.SKIPPED, because=because)


@lru_cache(maxsize=1024)
def _has_jumped_a_day(zone: ZoneInfo) -> bool:
    """Whether the zone ever crossed the date line westward and left out a day, as Apia did."""
    offsets = [datetime(year, 1, 1, tzinfo=zone).utcoffset() for year in range(1800, 2101)]
    return any(
        after - before > 20 * HOUR
        for before, after in pairwise(offsets)
        if before is not None and after is not None
    )
