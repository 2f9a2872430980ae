"""When may we ring? A client's `calling_window` is checked key by key and becomes a CallingWindow.

A window is what a wall clock shows: on these days, from the start up to but not including the
end. One whose end is before its start goes over midnight and belongs to the day on which it
starts. The table for users is in docs/time.md.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

from schedules.localtime import UnknownZone, load_zone, to_wall
from schedules.repeat_config import WEEKDAYS

SCHEDULE, NUMBER = "schedule", "number"

# Beyond this nothing is looked for: a week, its neighbours, and a change of the clock in between.
HORIZON = timedelta(days=15)

_DAY_NAMES = {name[:letters]: name for name in WEEKDAYS for letters in (2, 3, len(name))}
_DAY = timedelta(days=1)
_STEP = timedelta(hours=1)  # no zone has ever changed its offset twice within an hour
_CLOCK = re.compile(r"(\d\d):(\d\d)", re.ASCII)


class InvalidCallingWindow(ValueError):
    """A calling_window that cannot be kept: `field` names the key, `issue` says why."""

    def __init__(self, key: str | None, issue: str) -> None:
        self.field = f"calling_window.{key}" if key else "calling_window"
        self.issue = issue
        super().__init__(f"{self.field}: {issue}")


@dataclass(frozen=True, slots=True)
class CallingWindow:
    """The hours in which a call may be placed, half-open: [start, end).

    Weekdays count from Monday = 0; `start` and `end` are lengths of time since midnight on the
    wall; `zone` is "schedule", "number" or an IANA name, and says whose wall it is."""

    start: timedelta
    end: timedelta
    days: frozenset[int] = frozenset(range(7))
    zone: str = SCHEDULE

    @property
    def is_over_midnight(self) -> bool:
        """Whether it ends on the day after that on which it starts."""
        return self.end < self.start

    def is_open(self, moment: datetime, zones: Sequence[ZoneInfo]) -> bool:
        """Whether every one of the zones' wall clocks shows an open hour at an aware moment."""
        return all(self.shows_open(to_wall(moment, zone)) for zone in zones)

    def next_opening(
        self, moment: datetime, zones: Sequence[ZoneInfo], *, within: timedelta = HORIZON
    ) -> datetime | None:
        """The first moment from `moment` on at which it is open in all zones: itself if it is.

        None where nothing opens within that time, or the calendar ends before."""
        try:
            last = moment + within
            while moment <= last:
                opening = self._advance(moment, zones)
                if opening == moment:
                    return moment
                moment = opening
        except OverflowError:
            pass
        return None

    def in_words(self) -> str:
        """`08:00 to 21:00 on Monday, Friday, on the called number's clock`."""
        end = show_clock(self.end) + (" of the next day" if self.is_over_midnight else "")
        named = ", ".join(WEEKDAYS[day].capitalize() for day in sorted(self.days))
        days = "every day" if len(self.days) == len(WEEKDAYS) else f"on {named}"
        whose = {SCHEDULE: "the schedule's clock", NUMBER: "the called number's clock"}
        clock = whose.get(self.zone, f"the clock of {self.zone}")
        return f"{show_clock(self.start)} to {end} {days}, on {clock}"

    def shows_open(self, wall: datetime) -> bool:
        """Whether that is an open hour on a wall clock (naive)."""
        today, passed = wall.weekday(), _since_midnight(wall)
        if not self.is_over_midnight:
            return today in self.days and self.start <= passed < self.end
        began_today = today in self.days and passed >= self.start
        return began_today or ((today - 1) % 7 in self.days and passed < self.end)

    def _advance(self, moment: datetime, zones: Sequence[ZoneInfo]) -> datetime:
        """A moment before which it is not open in all zones; `moment` itself where it is."""
        for zone in zones:
            moment = self._opening_in(moment, zone)
        return moment

    def _opening_in(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The first moment from `moment` on at which one zone's clock shows an open hour."""
        while True:
            wall = to_wall(moment, zone)
            opening = moment + (self._opening_on(wall) - wall)
            change = _next_change(zone, moment, opening)
            if change is None:
                return opening
            moment = change  # from there on the clock shows other hours: look again

    def _opening_on(self, wall: datetime) -> datetime:
        """The first open wall time from `wall` on, on a clock that is never changed."""
        if self.shows_open(wall):
            return wall
        midnight = datetime.combine(wall.date(), time.min)
        while midnight.weekday() not in self.days or midnight + self.start <= wall:
            midnight += _DAY
        return midnight + self.start


def parse_calling_window(raw: object) -> CallingWindow | None:
    """The window of a calling_window; None for null and {}. Raises InvalidCallingWindow."""
    config = normalise_calling_window(raw)
    if config is None:
        return None
    return CallingWindow(
        start=_length(config["start"]),
        end=_length(config["end"]),
        days=frozenset(WEEKDAYS.index(day) for day in config["days"]),
        zone=config["zone"],
    )


def normalise_calling_window(raw: object) -> dict[str, Any] | None:
    """The calling_window as it is stored: every key, in a fixed order; None for null and {}.

    Raises InvalidCallingWindow."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InvalidCallingWindow(None, "Must be an object or null.")
    for key in raw:
        if key not in READERS:
            raise _unknown_key(key)
    given = {key: read(key, raw[key]) for key, read in READERS.items() if raw.get(key) is not None}
    if not given:
        return None
    for key in ("start", "end"):
        if key not in given:
            raise InvalidCallingWindow(key, "Required: a time of day, such as 08:00.")
    if given["start"] == given["end"]:
        raise InvalidCallingWindow(
            "end", "Is the start: nothing would be open. A whole day is 00:00 to 24:00."
        )
    return {"days": list(WEEKDAYS), "zone": SCHEDULE} | given


def show_clock(since_midnight: timedelta) -> str:
    """`08:00`, or `24:00` for the end of a day."""
    hours, minutes = divmod(int(since_midnight.total_seconds()) // 60, 60)
    return f"{hours:02}:{minutes:02}"


def _next_change(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime | None:
    """The first moment after begin and up to end at which the zone has another offset."""
    offset = _offset(begin, zone)
    while begin < end:
        step = min(begin + _STEP, end)
        if _offset(step, zone) != offset:
            return _change_between(zone, begin, step)
        begin = step
    return None


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The moment of the one change between two, found by halving."""
    offset = _offset(before, zone)
    while after - before > timedelta.resolution:
        middle = before + (after - before) // 2
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def _since_midnight(wall: datetime) -> timedelta:
    return wall - datetime.combine(wall.date(), time.min)


def _length(clock: str) -> timedelta:
    hours, minutes = clock.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _unknown_key(key: object) -> InvalidCallingWindow:
    # A lone surrogate is legal in JSON's escapes, but no answer could be written with it.
    name = str(key)[:60].encode("utf-8", "backslashreplace").decode() or '""'
    close = get_close_matches(name, READERS, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return InvalidCallingWindow(name, f"Unknown key{hint} Known keys: {_listed(READERS)}.")


def _read_days(key: str, value: object) -> list[str]:
    """Full lower-case names in the order of the week."""
    if not isinstance(value, list) or not value:
        raise InvalidCallingWindow(
            key, 'Must be a list of at least one weekday, such as ["monday", "tue", "WE"].'
        )
    names = [_weekday(key, each) for each in value]
    for name in names:
        if names.count(name) > 1:
            raise InvalidCallingWindow(key, f"Names {name} more than once.")
    return sorted(names, key=WEEKDAYS.index)


def _weekday(key: str, value: object) -> str:
    name = _DAY_NAMES.get(value.lower()) if isinstance(value, str) else None
    if name is None:
        shown = (
            f"{value[:20]!r} is not" if isinstance(value, str) else "Holds something that is not"
        )
        raise InvalidCallingWindow(key, f"{shown} a weekday: use names such as monday, mon or mo.")
    return name


def _clock_up_to(latest: str) -> Callable[[str, object], str]:
    def read(key: str, value: object) -> str:
        match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if match is None or match[0] > latest or match[2] > "59":
            raise InvalidCallingWindow(
                key, f"Must be a time of day from 00:00 to {latest}, such as 08:00."
            )
        return match[0]

    return read


def _read_zone(key: str, value: object) -> str:
    if value in (SCHEDULE, NUMBER):
        return str(value)
    try:
        return str(load_zone(value))  # type: ignore[arg-type]
    except UnknownZone:
        raise InvalidCallingWindow(
            key,
            "Must be schedule (the schedule's time zone), number (that of the called number) or "
            "an IANA time zone name, such as Europe/Helsinki.",
        ) from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


READERS: dict[str, Callable[[str, object], Any]] = {
    "days": _read_days,
    "start": _clock_up_to("23:59"),
    "end": _clock_up_to("24:00"),
    "zone": _read_zone,
}
