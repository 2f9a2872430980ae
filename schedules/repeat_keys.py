"""How is each key of a `repeat_config` read? Every reader returns the value as it is stored.

A refusal names the key and says in a sentence what would be right.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from schedules.crontab import InvalidCrontab, parse_crontab
from schedules.localtime import Gap
from schedules.public_holidays import UnknownPlace, check_place
from schedules.recurrence import Frequency, MonthEnd
from schedules.rrule import MAX_COUNT, InvalidRecurrence, parse_recurrence

MAX_INTERVAL = 1000
MAX_EXDATES = 366
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAY_NAMES = {name[:letters]: name for name in WEEKDAYS for letters in (2, 3, len(name))}

# RFC 3339, with the seconds and the offset left to the client.
ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"(?P<time>[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?P<offset>[Zz]|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII,
)


class InvalidRepeatConfig(ValueError):
    """A repeat_config that cannot be followed: `field` names the key, `issue` says why."""

    def __init__(self, key: str | None, issue: str) -> None:
        self.field = f"repeat_config.{key}" if key else "repeat_config"
        self.issue = issue
        super().__init__(f"{self.field}: {issue}")


def read_keys(raw: dict[Any, Any]) -> dict[str, Any]:
    """The given keys in a fixed order, each checked and in its stored form; null is not given.

    Raises InvalidRepeatConfig."""
    for key in raw:
        if key not in READERS:
            raise _unknown_key(key)
    return {key: read(key, raw[key]) for key, read in READERS.items() if raw.get(key) is not None}


def _unknown_key(key: object) -> InvalidRepeatConfig:
    # A lone surrogate is legal in JSON's escapes, but no answer could be written with it.
    name = str(key)[:60].encode("utf-8", "backslashreplace").decode() or '""'
    close = get_close_matches(name, READERS, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return InvalidRepeatConfig(name, f"Unknown key{hint} Known keys: {listed(READERS)}.")


def _read_enabled(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidRepeatConfig(key, "Must be true or false.")
    return value


def _choice_of(choices: type[StrEnum]) -> Callable[[str, object], str]:
    def read(key: str, value: object) -> str:
        if not isinstance(value, str) or value not in list(choices):
            raise InvalidRepeatConfig(key, f"Must be one of {listed(choices)}.")
        return value

    return read


def _number_up_to(maximum: int) -> Callable[[str, object], int]:
    def read(key: str, value: object) -> int:
        # To Python true is 1, to a client it is a slip.
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
            raise InvalidRepeatConfig(key, f"Must be a whole number from 1 to {maximum}.")
        return value

    return read


def _read_cron(key: str, value: object) -> str:
    """The line in capitals, with one space between its fields."""
    if not isinstance(value, str):
        raise InvalidRepeatConfig(key, "Must be a crontab line, such as 0 9 * * MON-FRI.")
    try:
        return parse_crontab(value).line
    except InvalidCrontab as error:
        raise InvalidRepeatConfig(key, str(error)) from None


def _read_rrule(key: str, value: object) -> str:
    """The rule in capitals, without the name RRULE before it."""
    if not isinstance(value, str):
        raise InvalidRepeatConfig(key, "Must be an RRULE, such as FREQ=MONTHLY;BYDAY=-1FR.")
    try:
        return parse_recurrence(value).text
    except InvalidRecurrence as error:
        raise InvalidRepeatConfig(key, str(error)) from None


def _read_moment(key: str, value: object) -> str:
    """The date or time as ISO 8601, with Z, an offset or neither, as the client wrote it."""
    match = ISO_8601.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidRepeatConfig(
            key,
            "Must be an ISO 8601 date or time, such as 2026-02-15, 2026-02-15T10:00:00 (local) "
            "or 2026-02-15T10:00:00Z.",
        )
    try:
        moment = datetime.fromisoformat(match[0].upper())
    except ValueError:
        raise InvalidRepeatConfig(key, f"There is no such date or time: {match[0]}.") from None
    if match["time"] is None:
        return moment.date().isoformat()
    written = moment.isoformat()
    is_zulu = match["offset"] in ("Z", "z")
    return written.removesuffix("+00:00") + "Z" if is_zulu else written


def _read_exdates(key: str, value: object) -> list[str]:
    """Each date or time once, in the order given."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_EXDATES:
        raise InvalidRepeatConfig(
            key, f'Must be a list of 1 to {MAX_EXDATES} dates or times, such as ["2026-12-24"].'
        )
    return list(dict.fromkeys(_read_moment(key, each) for each in value))


def _read_place(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRepeatConfig(
            key, "Must be the code of a country or of a region of it, such as FI, US-CA or DE-BY."
        )
    try:
        return check_place(value)
    except UnknownPlace as error:
        raise InvalidRepeatConfig(key, str(error)) from None


def _read_weekdays(key: str, value: object) -> list[str]:
    """Full lower-case names in the order of the week."""
    if not isinstance(value, list) or not value:
        raise InvalidRepeatConfig(
            key, 'Must be a list of at least one weekday, such as ["monday", "thu", "FR"].'
        )
    names = [_weekday(key, each) for each in value]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRepeatConfig(key, f"Names {name} more than once.")
    return sorted(names, key=WEEKDAYS.index)


def _weekday(key: str, value: object) -> str:
    name = WEEKDAY_NAMES.get(value.lower()) if isinstance(value, str) else None
    if name is None:
        shown = (
            f"{value[:20]!r} is not" if isinstance(value, str) else "Holds something that is not"
        )
        raise InvalidRepeatConfig(key, f"{shown} a weekday: use names such as monday, mon or mo.")
    return name


def listed(names: Iterable[str]) -> str:
    """`a, b, c`."""
    return ", ".join(names)


READERS: dict[str, Callable[[str, object], Any]] = {
    "enabled": _read_enabled,
    "frequency": _choice_of(Frequency),
    "cron": _read_cron,
    "rrule": _read_rrule,
    "interval": _number_up_to(MAX_INTERVAL),
    "end_date": _read_moment,
    "count": _number_up_to(MAX_COUNT),
    "weekdays": _read_weekdays,
    "gap": _choice_of(Gap),
    "month_end": _choice_of(MonthEnd),
    "exdates": _read_exdates,
    "skip_holidays": _read_place,
}
