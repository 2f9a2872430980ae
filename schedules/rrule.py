"""What does an RFC 5545 RRULE mean? The string is checked part by part and becomes wall times.

The rule is expanded here, period by period from the anchor's own, and not by dateutil: a search
can so begin near the moment asked about and can be ended, where dateutil walks from the start and
looks for a 30 February to the year 9999. dateutil is what the tests compare with. What the RFC
leaves open is decided in docs/time.md.
"""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import MAXYEAR, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import chain, product

from schedules.walls import Named, at_times

MAX_LENGTH = 500
MAX_INTERVAL = 10_000
MAX_COUNT = 10_000
# A rule is followed for as long as the calendar takes to repeat itself.
YEARS_FOLLOWED = 400
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MONDAY = 0
WEEK = 7

_NUMBER = re.compile(r"[+-]?\d{1,4}", re.ASCII)
_WEEKDAY = re.compile(r"(?P<nth>[+-]?\d{1,2})?(?P<day>MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_UNTIL = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", re.ASCII)


class Unit(StrEnum):
    """FREQ, but for SECONDLY: more than one call a minute is none."""

    YEARLY = "YEARLY"
    MONTHLY = "MONTHLY"
    WEEKLY = "WEEKLY"
    DAILY = "DAILY"
    HOURLY = "HOURLY"
    MINUTELY = "MINUTELY"


class InvalidRecurrence(ValueError):
    """Not an RRULE that can be followed; the message says why in a sentence."""


@dataclass(frozen=True, slots=True)
class DayFilter:
    """Which days have a call; an empty part allows all. Weekdays are (nth or 0, Monday = 0)."""

    months: tuple[int, ...] = ()
    week_numbers: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    week_start: int = MONDAY
    counts_in_year: bool = False  # 2MO is the second Monday of the year, not of the month

    def has(self, day: date) -> bool:
        """Whether every part allows the day."""
        return (
            (not self.months or day.month in self.months)
            and (not self.month_days or self._is_month_day(day))
            and (not self.weekdays or any(self._is_weekday(day, *each) for each in self.weekdays))
            and (not self.year_days or self._is_year_day(day))
            and (not self.week_numbers or self._is_in_week(day))
        )

    def _is_month_day(self, day: date) -> bool:
        return not {day.day, day.day - _days_in_month(day) - 1}.isdisjoint(self.month_days)

    def _is_year_day(self, day: date) -> bool:
        number = _day_of_year(day)
        return not {number, number - _days_in_year(day) - 1}.isdisjoint(self.year_days)

    def _is_in_week(self, day: date) -> bool:
        number, of = week_of_year(day, self.week_start)
        return not {number, number - of - 1}.isdisjoint(self.week_numbers)

    def _is_weekday(self, day: date, nth: int, weekday: int) -> bool:
        if day.weekday() != weekday or nth == 0:
            return day.weekday() == weekday
        number, of = (
            (_day_of_year(day), _days_in_year(day))
            if self.counts_in_year
            else (day.day, _days_in_month(day))
        )
        return nth == (number - 1) // WEEK + 1 if nth > 0 else -nth == (of - number) // WEEK + 1


@dataclass(frozen=True, slots=True)
class Recurrence:
    """An RRULE as it was written. `until` is ISO 8601: a bare date, local, or with Z."""

    text: str
    unit: Unit
    interval: int = 1
    count: int | None = None
    until: str | None = None
    days: DayFilter = DayFilter()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    second: int | None = None
    positions: tuple[int, ...] = ()

    @property
    def elapsed_unit(self) -> timedelta | None:
        """The elapsed time that the interval counts; None where the rule names wall times."""
        match self.unit:
            case Unit.HOURLY:
                return timedelta(hours=1)
            case Unit.MINUTELY:
                return timedelta(minutes=1)
            case _:
                return None


@lru_cache(maxsize=2048)
def recurrence_walls(recurrence: Recurrence, start: datetime) -> "RecurrenceWalls":
    """The wall times of a recurrence that is anchored at a naive start."""
    return RecurrenceWalls(recurrence, start)


class RecurrenceWalls:
    """The wall times of a recurrence from its start on, with what it leaves to the start."""

    def __init__(self, recurrence: Recurrence, start: datetime) -> None:
        self._start = start
        self._unit = recurrence.unit
        self._interval = recurrence.interval
        self._days = _completed(recurrence, start)
        self._times = _times(recurrence, start)
        self._positions = recurrence.positions
        self._last_year = min(start.year + YEARS_FOLLOWED, MAXYEAR)
        if self._unit is Unit.DAILY and self._positions:
            self._times = tuple(sorted(set(_at_positions(self._times, self._positions))))
            self._positions = ()

    def walls_from(self, wall: datetime) -> Iterator[Named]:
        """In order, each once, from `wall` on, to the end of the rule's years."""
        start = max(wall, self._start)
        if not self._positions:
            days = chain.from_iterable(self._periods(start.date()))
            return at_times(days, self._times, start)
        return (Named(each) for each in self._picked(start) if each >= start)

    def _picked(self, start: datetime) -> Iterator[datetime]:
        """BYSETPOS: the named positions among all wall times of a period."""
        for period in self._periods(start.date()):
            days = tuple(period)
            size = len(self._times)
            for index in _indexes(len(days) * size, self._positions):
                yield datetime.combine(days[index // size], self._times[index % size])

    def _periods(self, start: date) -> Iterator[Iterable[date]]:
        """The rule's days, period by period, from the one with `start` in it."""
        match self._unit:
            case Unit.YEARLY:
                return self._years(start)
            case Unit.MONTHLY:
                return self._months(start)
            case Unit.WEEKLY:
                return self._weeks(start)
            case _:
                return self._months_of_days(start)

    def _years(self, start: date) -> Iterator[Iterable[date]]:
        months = self._days.months or tuple(range(1, 13))
        for year in self._aligned(self._start.year, start.year, self._last_year):
            # A year with positions is looked at as a whole.
            passed = start.month if year == start.year and not self._positions else 1
            yield chain.from_iterable(
                days_of_month(self._days, year, month) for month in months if month >= passed
            )

    def _months(self, start: date) -> Iterator[Iterable[date]]:
        last = _month_number(date(self._last_year, 12, 1))
        for number in self._aligned(_month_number(self._start), _month_number(start), last):
            yield days_of_month(self._days, number // 12, number % 12 + 1)

    def _weeks(self, start: date) -> Iterator[Iterable[date]]:
        first = _week_number(self._start, self._days.week_start)
        last = _week_number(date(self._last_year, 12, 31), self._days.week_start)
        here = _week_number(start, self._days.week_start)
        for number in self._aligned(first, here, last):
            monday = number * WEEK + self._days.week_start + 1
            ordinals = range(max(monday, 1), min(monday + WEEK, date.max.toordinal() + 1))
            yield [day for day in map(date.fromordinal, ordinals) if self._days.has(day)]

    def _months_of_days(self, start: date) -> Iterator[Iterable[date]]:
        """Every so many days, gathered by months, so that whole months can be left out."""
        first, every = self._start.toordinal(), self._interval
        for number in range(_month_number(start), (self._last_year + 1) * 12):
            days = days_of_month(self._days, number // 12, number % 12 + 1)
            if every == 1:
                yield days
            else:
                yield [day for day in days if (day.toordinal() - first) % every == 0]

    def _aligned(self, first: int, start: int, last: int) -> range:
        """Every interval-th number counted from the first, beginning at the start or after it."""
        passed = -((first - start) // self._interval)
        return range(first + max(passed, 0) * self._interval, last + 1, self._interval)


@lru_cache(maxsize=8192)
def days_of_month(days: DayFilter, year: int, month: int) -> tuple[date, ...]:
    """The days of a month that the filter allows."""
    if days.months and month not in days.months:
        return ()
    last = monthrange(year, month)[1]
    numbers = (
        {number if number > 0 else last + 1 + number for number in days.month_days}
        if days.month_days
        else range(1, last + 1)
    )
    all_days = (date(year, month, number) for number in sorted(numbers) if 1 <= number <= last)
    return tuple(day for day in all_days if days.has(day))


def week_of_year(day: date, week_start: int) -> tuple[int, int]:
    """The number of the day's week and of how many: week 1 has 4 days or more in its year."""
    week = _week_number(day, week_start)
    # The year of a week is that of its fourth day.
    fourth = week * WEEK + week_start + 4
    year = date.fromordinal(min(max(fourth, 1), date.max.toordinal())).year
    first = _week_number(date(year, 1, 4), week_start)
    last = _week_number(date(year, 12, 28), week_start)
    return week - first + 1, last - first + 1


def parse_recurrence(text: str) -> Recurrence:
    """The recurrence of an RRULE, with or without the name before it.

    Raises InvalidRecurrence."""
    if len(text) > MAX_LENGTH:
        raise InvalidRecurrence(f"Must have at most {MAX_LENGTH} characters.")
    line = text.strip().upper()
    if not text.isascii() or not line.isprintable():
        _refuse_other_lines(line)
        raise InvalidRecurrence("Must be one line of plain letters, such as FREQ=DAILY;COUNT=10.")
    return _parse(line.removeprefix("RRULE:").rstrip(";"))


@lru_cache(maxsize=2048)
def _parse(line: str) -> Recurrence:
    _refuse_other_lines(line)
    parts = _split(line)
    if "FREQ" not in parts:
        raise InvalidRecurrence("Must name its FREQ, such as FREQ=WEEKLY;BYDAY=MO,FR.")
    recurrence = Recurrence(
        text=line,
        unit=_unit(parts["FREQ"]),
        interval=_single("INTERVAL", parts, 1, MAX_INTERVAL) or 1,
        count=_single("COUNT", parts, 1, MAX_COUNT),
        until=_read_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        days=DayFilter(
            months=_numbers("BYMONTH", parts, range(1, 13)),
            week_numbers=_numbers("BYWEEKNO", parts, range(1, 54), from_the_end=True),
            year_days=_numbers("BYYEARDAY", parts, range(1, 367), from_the_end=True),
            month_days=_numbers("BYMONTHDAY", parts, range(1, 32), from_the_end=True),
            weekdays=_read_weekdays(parts.get("BYDAY")),
            week_start=_read_week_start(parts.get("WKST", "MO")),
        ),
        hours=_numbers("BYHOUR", parts, range(24)),
        minutes=_numbers("BYMINUTE", parts, range(60)),
        second=_single("BYSECOND", parts, 0, 59),
        positions=_numbers("BYSETPOS", parts, range(1, 367), from_the_end=True),
    )
    _refuse_what_does_not_go_together(recurrence, parts)
    return recurrence


def _split(line: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in line.split(";") if line else ():
        name, equals, value = part.partition("=")
        if name not in PARTS:
            raise InvalidRecurrence(
                f"{name[:20]!r} is not a part of an RRULE. Known parts: {', '.join(PARTS)}."
            )
        if name in parts:
            raise InvalidRecurrence(f"Names {name} more than once.")
        if not equals or not value:
            raise InvalidRecurrence(f"{name} has no value.")
        parts[name] = value
    return parts


def _refuse_other_lines(line: str) -> None:
    for name, hint in _OTHER_LINES.items():
        if re.search(rf"\b{name}\b", line):
            raise InvalidRecurrence(f"{name} does not belong here: {hint}")


def _unit(value: str) -> Unit:
    if value == "SECONDLY":
        raise InvalidRecurrence(
            "FREQ=SECONDLY is not followed: a schedule calls once a minute at most."
        )
    if value not in list(Unit):
        raise InvalidRecurrence(f"FREQ must be one of {', '.join(Unit)}.")
    return Unit(value)


def _single(name: str, parts: dict[str, str], lowest: int, highest: int) -> int | None:
    if name not in parts:
        return None
    value = parts[name]
    if not value.isdecimal() or len(value) > 6 or not lowest <= int(value) <= highest:
        raise InvalidRecurrence(f"{name} must be one whole number from {lowest} to {highest}.")
    return int(value)


def _numbers(
    name: str, parts: dict[str, str], allowed: range, *, from_the_end: bool = False
) -> tuple[int, ...]:
    """The numbers of a list, each once and in order."""
    if name not in parts:
        return ()
    texts = parts[name].split(",")
    numbers = [int(each) if _NUMBER.fullmatch(each) else None for each in texts]
    counted = [abs(each) if from_the_end and each else each for each in numbers]
    if any(each not in allowed for each in counted):
        sign = ", or negative from the end" if from_the_end else ""
        raise InvalidRecurrence(
            f"{name} must be numbers from {allowed[0]} to {allowed[-1]}{sign}, with commas."
        )
    return tuple(sorted({each for each in numbers if each is not None}))


def _read_weekdays(value: str | None) -> tuple[tuple[int, int], ...]:
    if value is None:
        return ()
    found = [_WEEKDAY.fullmatch(each) for each in value.split(",")]
    days = {(int(each["nth"] or 0), DAYS.index(each["day"])) for each in found if each}
    is_counted_from_one = all(
        each is not None and (each["nth"] is None or 1 <= abs(int(each["nth"])) <= 53)
        for each in found
    )
    if not is_counted_from_one:
        raise InvalidRecurrence("BYDAY must be weekdays such as MO,FR or 2MO or -1FR, with commas.")
    return tuple(sorted(days))


def _read_week_start(value: str) -> int:
    if value not in DAYS:
        raise InvalidRecurrence(f"WKST must be one of {', '.join(DAYS)}.")
    return DAYS.index(value)


def _read_until(value: str) -> str:
    match = _UNTIL.fullmatch(value)
    if match is None:
        raise InvalidRecurrence(
            "UNTIL must be a date or time such as 20261231, 20261231T090000 (local) or "
            "20261231T090000Z."
        )
    year, month, day, hour, minute, second, zulu = match.groups()
    try:
        if hour is None:
            return date(int(year), int(month), int(day)).isoformat()
        clock = time(int(hour), int(minute), int(second))
        moment = datetime.combine(date(int(year), int(month), int(day)), clock)
    except ValueError:
        raise InvalidRecurrence(f"UNTIL names no date or time that exists: {value}.") from None
    return moment.isoformat() + zulu


def _refuse_what_does_not_go_together(rule: Recurrence, parts: dict[str, str]) -> None:
    """RFC 5545, 3.3.10: which parts a FREQ may not have."""
    for name in parts:
        if rule.elapsed_unit is not None and name.startswith("BY"):
            raise InvalidRecurrence(
                f"FREQ={rule.unit} is elapsed time and has no {name}: name wall times by "
                "FREQ=DAILY with BYHOUR and BYMINUTE."
            )
        if rule.unit not in _UNITS_OF.get(name, Unit):
            units = " or ".join(f"FREQ={unit}" for unit in _UNITS_OF[name])
            raise InvalidRecurrence(f"{name} goes with {units} alone.")
    if rule.count is not None and rule.until is not None:
        raise InvalidRecurrence("COUNT and UNTIL exclude each other.")
    if any(nth for nth, _ in rule.days.weekdays) and (
        rule.unit not in {Unit.MONTHLY, Unit.YEARLY} or rule.days.week_numbers
    ):
        raise InvalidRecurrence(
            "A numbered weekday such as 2MO goes with FREQ=MONTHLY or FREQ=YEARLY alone, and "
            "without BYWEEKNO."
        )
    if rule.positions and not any(each.startswith("BY") for each in parts if each != "BYSETPOS"):
        raise InvalidRecurrence("BYSETPOS needs another part of BY… to choose from.")


def _completed(rule: Recurrence, start: date) -> DayFilter:
    """The filter of days, with what the rule leaves open taken from the start."""
    days = rule.days
    if rule.unit is Unit.YEARLY:
        days = replace(days, counts_in_year=not days.months)
        if days.week_numbers and not (days.weekdays or days.month_days or days.year_days):
            return replace(days, weekdays=((0, start.weekday()),))
        if not (days.week_numbers or days.year_days or days.month_days or days.weekdays):
            return replace(days, months=days.months or (start.month,), month_days=(start.day,))
    if rule.unit is Unit.MONTHLY and not (days.month_days or days.weekdays):
        return replace(days, month_days=(start.day,))
    if rule.unit is Unit.WEEKLY and not days.weekdays:
        return replace(days, weekdays=((0, start.weekday()),))
    return days


def _times(rule: Recurrence, start: datetime) -> tuple[time, ...]:
    """The times of day; the fraction of a second is always the start's."""
    hours, minutes = rule.hours or (start.hour,), rule.minutes or (start.minute,)
    second = start.second if rule.second is None else rule.second
    return tuple(time(*each, second, start.microsecond) for each in product(hours, minutes))


def _indexes(size: int, positions: Iterable[int]) -> list[int]:
    """Positions from 1, or from -1 backwards, as indexes in order, those that there are."""
    indexes = {each - 1 if each > 0 else size + each for each in positions}
    return sorted(each for each in indexes if 0 <= each < size)


def _at_positions(times: tuple[time, ...], positions: tuple[int, ...]) -> list[time]:
    return [times[index] for index in _indexes(len(times), positions)]


def _days_in_month(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def _days_in_year(day: date) -> int:
    return _day_of_year(day.replace(month=12, day=31))


def _day_of_year(day: date) -> int:
    return day.toordinal() - date(day.year, 1, 1).toordinal() + 1


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _week_number(day: date, week_start: int) -> int:
    """Weeks since the first in the calendar, which begins on a Monday."""
    return (day.toordinal() - 1 - week_start) // WEEK


_UNITS_OF = {
    "BYWEEKNO": (Unit.YEARLY,),
    "BYYEARDAY": (Unit.YEARLY,),
    "BYMONTHDAY": (Unit.YEARLY, Unit.MONTHLY, Unit.DAILY),
}
_OTHER_LINES = {
    "DTSTART": "scheduled_time is the start.",
    "EXDATE": "write these days or times into exdates.",
    "EXRULE": "it is no longer part of RFC 5545; write days into exdates.",
    "RDATE": "further calls are schedules of their own.",
}
PARTS = (
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "BYMONTH",
    "BYWEEKNO",
    "BYYEARDAY",
    "BYMONTHDAY",
    "BYDAY",
    "BYHOUR",
    "BYMINUTE",
    "BYSECOND",
    "BYSETPOS",
    "WKST",
)
