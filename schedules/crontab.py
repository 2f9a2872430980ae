"""What does a crontab line mean? Five fields, read with Unix's numbers, become wall times.

cronsim reads the fields as Debian's cron does and says which days match; it is asked about naive
days alone, since its own handling of clock changes is Debian's and not ours (docs/time.md).
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import MAXYEAR, date, datetime, time
from functools import lru_cache
from itertools import product

from cronsim import CronSim, CronSimError
from cronsim.cronsim import SYMBOLIC_DAYS, SYMBOLIC_MONTHS

from schedules.walls import Named, at_times

MAX_LENGTH = 200
FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of the month": "1 to 31, L for the last or LW for the last from Monday to Friday",
    "month": "1 to 12 or JAN to DEC",
    "weekday": "0 to 7 or SUN to SAT (0 and 7 are Sunday), 1#2 for the second Monday, 5L for the "
    "last Friday",
}
_NAMES_IN_CRONSIM = ("minute", "hour", "day-of-month", "month", "day-of-week")
_NO_MOMENT = datetime(2000, 1, 1)  # noqa: DTZ001 (cronsim wants one; nothing is asked of it)

_RANGE_OF_ONE = re.compile(r"\b(\w+)-(\w+)/\d*[1-9]\d*\b", re.ASCII)
_NUMBER_OF = {
    name: str(number)
    for names in (("", *SYMBOLIC_MONTHS), SYMBOLIC_DAYS)
    for number, name in enumerate(names)
    if name
}

# The calendar, weekdays included, repeats itself after 400 years.
_MONTHS_OF_A_CYCLE = 400 * 12


class InvalidCrontab(ValueError):
    """Not a crontab line that can be followed; the message says why in a sentence."""


@dataclass(frozen=True, slots=True)
class Crontab:
    """A crontab line in its stored form, and what it means."""

    line: str
    months: frozenset[int] = field(compare=False, repr=False)
    times: tuple[time, ...] = field(compare=False, repr=False)
    reader: CronSim = field(compare=False, repr=False)

    def explain(self) -> str:
        """In words, such as `At 09:00 on Monday`."""
        return self.reader.explain()


@dataclass(frozen=True, slots=True)
class CronWalls:
    """The wall times of a crontab from a first one on."""

    crontab: Crontab
    start: datetime

    def walls_from(self, wall: datetime) -> Iterator[Named]:
        """In order, each once, from `wall` on."""
        start = max(wall, self.start)
        return at_times(_days(self.crontab, start.date()), self.crontab.times, start)


def parse_crontab(text: str) -> Crontab:
    """The crontab of a line. Raises InvalidCrontab, also where no day ever matches."""
    if len(text) > MAX_LENGTH:
        raise InvalidCrontab(f"Must have at most {MAX_LENGTH} characters.")
    line = " ".join(text.split()).upper()
    if not text.isascii() or len(line.split()) != len(FIELDS):
        raise InvalidCrontab(
            "Must be a crontab line of five fields: minute, hour, day of the month, month, "
            "weekday, such as 0 9 * * MON-FRI."
        )
    return _parse(line)


@lru_cache(maxsize=2048)
def _parse(line: str) -> Crontab:
    reader = _read(line)
    times = tuple(time(hour, minute) for hour, minute in product(reader.hours, reader.minutes))
    crontab = Crontab(line, frozenset(reader.months), tuple(sorted(times)), reader)
    if next(_days(crontab, _NO_MOMENT.date()), None) is None:
        raise InvalidCrontab("Never calls: the calendar has no such day.")
    return crontab


def _read(line: str) -> CronSim:
    try:
        return CronSim(_RANGE_OF_ONE.sub(_without_step, line), _NO_MOMENT)
    except (CronSimError, ValueError) as error:
        wrong = str(error).removeprefix("Bad ")
    fields = line.split()
    if wrong == "day-of-month" and _is_readable(fields[2]):
        raise InvalidCrontab("Never calls: the calendar has no such day.")
    number = _NAMES_IN_CRONSIM.index(wrong)
    name, takes = list(FIELDS.items())[number]
    raise InvalidCrontab(
        f"The {name} {fields[number]} cannot be read: it takes {takes}; with lists, ranges, steps."
    )


def _without_step(match: re.Match[str]) -> str:
    """cronsim takes 3-3/2 for 3/2, which is 3, 5, 7 …; cron calls at 3 alone."""
    first, last = (_NUMBER_OF.get(each, each.lstrip("0")) for each in match.group(1, 2))
    return match[1] if first == last else match[0]


def _is_readable(day_of_month: str) -> bool:
    """Whether the day itself is one, so that the months are wrong for it."""
    try:
        CronSim(f"0 0 {day_of_month} * *", _NO_MOMENT)
    except (CronSimError, ValueError):
        return False
    return True


def _days(crontab: Crontab, start: date) -> Iterator[date]:
    """The days from the start's month on that match; ends where none comes any more."""
    first_month = start.year * 12 + start.month - 1
    last_match = first_month
    for number in range(first_month, (MAXYEAR + 1) * 12):
        year, month = divmod(number, 12)
        days = _days_of(crontab, year, month + 1)
        if days:
            last_match = number
        elif number - last_match > _MONTHS_OF_A_CYCLE:
            return
        for day in days:
            yield date(year, month + 1, day)


def _days_of(crontab: Crontab, year: int, month: int) -> tuple[int, ...]:
    if month not in crontab.months:
        return ()
    return _days_of_a_month_like(crontab, *monthrange(year, month))


@lru_cache(maxsize=8192)
def _days_of_a_month_like(crontab: Crontab, weekday: int, length: int) -> tuple[int, ...]:
    """The matching days of a month of that length that begins on that weekday."""
    first = _month_like(weekday, length)
    days = range(1, length + 1)
    return tuple(day for day in days if crontab.reader.match_day(first.replace(day=day)))


@lru_cache(maxsize=28)
def _month_like(weekday: int, length: int) -> date:
    months = (date(year, month, 1) for year in range(2000, 2028) for month in range(1, 13))
    return next(each for each in months if monthrange(each.year, each.month) == (weekday, length))
