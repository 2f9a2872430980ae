"""At which moments does a schedule call? Anchor + zone + rule give UTC instants; nothing else does.

Every occurrence is computed from the anchor by its index, so nothing drifts, and the search for
the next one starts near the moment asked about instead of at the anchor. What is promised to
users is in docs/time.md.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import count, islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from schedules.localtime import Gap, resolve, to_wall

HOUR = timedelta(hours=1)
LAST_ORDINAL = date.max.toordinal()

# A day between a moment's own date and UTC's, a day from there to the zone's, and a day for a
# call that a gap has moved past midnight (Apia's gap is a day long).
DAYS_OF_DOUBT = 3


class Frequency(StrEnum):
    """The unit of a rule: hours are elapsed time, the others keep the wall time."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


class MonthEnd(StrEnum):
    """What becomes of days 29 to 31 in a month that has no such day."""

    LAST = "last"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a schedule repeats. Weekdays count from Monday = 0; `until` is aware and inclusive."""

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    weekdays: frozenset[int] = frozenset()
    gap: Gap = Gap.FORWARD
    month_end: MonthEnd = MonthEnd.LAST

    def __post_init__(self) -> None:
        object.__setattr__(self, "weekdays", frozenset(self.weekdays))
        if self.interval < 1 or (self.count is not None and self.count < 1):
            raise ValueError("The interval and the count are at least 1.")
        if not self.weekdays <= frozenset(range(7)):
            raise ValueError("Weekdays are numbers from 0 (Monday) to 6.")
        if self.weekdays and self.frequency is not Frequency.WEEKLY:
            raise ValueError("Only a weekly rule has weekdays.")
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError("The end needs an offset or a zone.")


def occurrences(anchor: datetime, zone: ZoneInfo, rule: Rule | None) -> Iterator[datetime]:
    """Every occurrence in order, in UTC, to the end of year 9999; without a rule the anchor alone.

    The anchor is aware and is itself the first occurrence, even at the second of two equal wall
    times, unless its weekday is not among the rule's. What is kept is its wall time in the zone:
    an anchor whose tzinfo is the zone states it, also one inside a gap."""
    return _occurrences_near(anchor, zone, rule, anchor)


def next_occurrence(
    anchor: datetime, zone: ZoneInfo, rule: Rule | None, *, after: datetime
) -> datetime | None:
    """The first occurrence strictly later than an aware moment, in UTC."""
    near = _occurrences_near(anchor, zone, rule, after)
    return next((moment for moment in near if moment > after), None)


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
    near = _occurrences_near(anchor, zone, rule, start)
    inside = takewhile(lambda moment: moment <= end, (each for each in near if each >= start))
    return list(islice(inside, max(limit, 0)))


def _occurrences_near(
    anchor: datetime, zone: ZoneInfo, rule: Rule | None, moment: datetime
) -> Iterator[datetime]:
    """The occurrences in order, begun early enough to hold the first one from the moment on."""
    if anchor.tzinfo is None:
        raise ValueError("The anchor needs an offset or a zone.")
    try:
        if rule is None:
            return iter((anchor.astimezone(UTC),))
        series = _series(anchor, zone, rule)
    except OverflowError:  # no such moment in the years 1 to 9999
        return iter(())
    from_anchor = rule.count is not None and series.may_lose_days
    index = 0 if from_anchor else series.index_before(moment)
    return _limited(rule, _instants(series, index), index)


def _limited(rule: Rule, instants: Iterator[datetime], taken: int) -> Iterator[datetime]:
    """The instants as far as the rule's end and count, where `taken` have gone before."""
    if rule.count is not None:
        instants = islice(instants, max(rule.count - taken, 0))
    if rule.until is not None:
        last = rule.until
        instants = takewhile(lambda instant: instant <= last, instants)
    return instants


def _instants(series: "_Elapsed | _WallClock", index: int) -> Iterator[datetime]:
    """The instants from an index on, each once, to the end of year 9999."""
    previous = None
    for each in count(index):
        try:
            instant = series.instant(each)
        except OverflowError:
            return
        # Equal neighbours: Apia's 2011-12-30 moved forward is the call of 2011-12-31.
        if instant is not None and instant != previous:
            yield instant
            previous = instant


def _series(anchor: datetime, zone: ZoneInfo, rule: Rule) -> "_Elapsed | _WallClock":
    instant = anchor.astimezone(UTC)
    if rule.frequency is Frequency.HOURLY:
        return _Elapsed(instant, rule.interval)
    # An anchor in the zone itself is left as it is written, so that one inside a gap says 02:30.
    wall = to_wall(anchor, zone)
    return _WallClock(instant, wall, zone, rule, _days(wall.date(), rule))


def _days(first: date, rule: Rule) -> "_DayCycle | _MonthCycle":
    match rule.frequency:
        case Frequency.DAILY:
            return _DayCycle(first.toordinal(), rule.interval, (0,), 0)
        case Frequency.WEEKLY:
            days = tuple(sorted(rule.weekdays)) or (first.weekday(),)
            passed = sum(day < first.weekday() for day in days)
            monday = first.toordinal() - first.weekday()
            return _DayCycle(monday, 7 * rule.interval, days, passed)
        case Frequency.MONTHLY:
            return _MonthCycle(first, rule.interval, rule.month_end)
        case _:
            return _MonthCycle(first, 12 * rule.interval, rule.month_end)


@dataclass(frozen=True, slots=True)
class _Elapsed:
    """Every N hours of elapsed time, whatever the clocks on the wall do."""

    anchor: datetime
    hours: int

    may_lose_days = False

    def instant(self, index: int) -> datetime | None:
        return self.anchor + index * self.hours * HOUR

    def index_before(self, moment: datetime) -> int:
        return max((moment - self.anchor) // HOUR // self.hours, 0)


@dataclass(frozen=True, slots=True)
class _WallClock:
    """The same wall time on each of the rule's days."""

    anchor: datetime
    wall: datetime
    zone: ZoneInfo
    rule: Rule
    days: "_DayCycle | _MonthCycle"

    @property
    def may_lose_days(self) -> bool:
        """Whether an index may have no occurrence of its own, so that a count must be counted."""
        return (
            self.rule.gap is Gap.SKIP
            or self.rule.month_end is MonthEnd.SKIP
            or _has_jumped_a_day(self.zone)
        )

    def instant(self, index: int) -> datetime | None:
        """The instant of an index; None where the rule skips it."""
        day = self.days.day(index)
        if day is None:
            return None
        instant = resolve(datetime.combine(day, self.wall.time()), self.zone, gap=self.rule.gap)
        # An anchor at the second 01:30 of a night is that instant, not the first 01:30.
        return instant and max(instant, self.anchor)

    def index_before(self, moment: datetime) -> int:
        """An index such that no lower one is later than the moment."""
        return self.days.index_before(moment.toordinal() - DAYS_OF_DOUBT)


@dataclass(frozen=True, slots=True)
class _DayCycle:
    """The same days of a cycle of so many days, as in every second week on Monday and Friday."""

    start: int
    length: int
    days: tuple[int, ...]
    passed: int  # days of the anchor's own cycle that lie before the anchor

    def day(self, index: int) -> date | None:
        cycle, position = divmod(index + self.passed, len(self.days))
        ordinal = self.start + cycle * self.length + self.days[position]
        if ordinal > LAST_ORDINAL:
            raise OverflowError
        return date.fromordinal(ordinal)

    def index_before(self, ordinal: int) -> int:
        cycle = (ordinal - self.start) // self.length
        return max(cycle * len(self.days) - self.passed, 0)


@dataclass(frozen=True, slots=True)
class _MonthCycle:
    """The same day of every so many months, and what to do in months without it."""

    first: date
    months: int
    month_end: MonthEnd

    def day(self, index: int) -> date | None:
        year, month = divmod(self.first.year * 12 + self.first.month - 1 + index * self.months, 12)
        if year > MAXYEAR:
            raise OverflowError
        last = monthrange(year, month + 1)[1]
        if self.first.day > last and self.month_end is MonthEnd.SKIP:
            return None
        return date(year, month + 1, min(self.first.day, last))

    def index_before(self, ordinal: int) -> int:
        day = date.fromordinal(max(ordinal, 1))
        months = (day.year - self.first.year) * 12 + day.month - self.first.month
        return max(months // self.months, 0)


@lru_cache(maxsize=1024)
def _has_jumped_a_day(zone: ZoneInfo) -> bool:
    """Whether the zone ever crossed the date line westward and left out a day, as Apia did."""
    offsets = [datetime(year, 1, 1, tzinfo=zone).utcoffset() for year in range(1800, 2101)]
    return any(
        after - before > 20 * HOUR
        for before, after in pairwise(offsets)
        if before is not None and after is not None
    )
