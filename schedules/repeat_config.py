"""What does a client's `repeat_config` mean? It is checked key by key and becomes a Rule.

Each key has one reader that returns the value as it is stored; a refusal names the key and says
in a sentence what would be right. A key whose value is null counts as not given. The table for
users is in docs/time.md.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from schedules.localtime import Gap, end_of_day, resolve
from schedules.recurrence import Frequency, MonthEnd, Rule, occurrences

MAX_INTERVAL = 1000
MAX_COUNT = 10_000
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
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


def parse_repeat_config(raw: object, *, anchor: datetime, zone: ZoneInfo) -> Rule | None:
    """The rule of a repeat_config; None for null, {} and a disabled one.

    Raises InvalidRepeatConfig, also for the keys of a disabled config and for a rule that would
    never call. The anchor is the aware scheduled_time; a local end_date is read in the zone."""
    config = _canonical(raw)
    if config is None or not config["enabled"]:
        return None
    rule = _rule(config, zone)
    _refuse_a_rule_that_never_calls(rule, anchor, zone)
    return rule


def normalise_repeat_config(
    raw: object, *, anchor: datetime, zone: ZoneInfo
) -> dict[str, Any] | None:
    """The repeat_config as it is stored: plain JSON, read again to the same rule.

    Raises InvalidRepeatConfig as parse_repeat_config does."""
    parse_repeat_config(raw, anchor=anchor, zone=zone)
    return _canonical(raw)


def _canonical(raw: object) -> dict[str, Any] | None:
    """The given keys in a fixed order, each checked and in its stored form."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InvalidRepeatConfig(None, "Must be an object or null.")
    for key in raw:
        if key not in READERS:
            raise _unknown_key(key)
    given = {key: read(key, raw[key]) for key, read in READERS.items() if raw.get(key) is not None}
    if not given:
        return None
    return _completed(given)


def _completed(given: dict[str, Any]) -> dict[str, Any]:
    """The given keys with the defaults of `enabled` and `interval`, once they agree together."""
    enabled = given.get("enabled", True)
    frequency = given.get("frequency")
    if enabled and frequency is None:
        raise InvalidRepeatConfig(
            "frequency", f"Required while the repetition is enabled: {_listed(Frequency)}."
        )
    if frequency not in (None, Frequency.WEEKLY) and "weekdays" in given:
        raise InvalidRepeatConfig("weekdays", "Only a weekly repetition has weekdays.")
    if frequency not in (None, Frequency.MONTHLY, Frequency.YEARLY) and "month_end" in given:
        raise InvalidRepeatConfig(
            "month_end", "Only a monthly or yearly repetition has a month_end."
        )
    defaults = {"enabled": enabled} | ({"frequency": frequency, "interval": 1} if frequency else {})
    return defaults | given


def _rule(config: dict[str, Any], zone: ZoneInfo) -> Rule:
    return Rule(
        frequency=Frequency(config["frequency"]),
        interval=config["interval"],
        count=config.get("count"),
        until=_until(config["end_date"], zone) if "end_date" in config else None,
        weekdays=frozenset(WEEKDAYS.index(name) for name in config.get("weekdays", ())),
        gap=Gap(config.get("gap", Gap.FORWARD)),
        month_end=MonthEnd(config.get("month_end", MonthEnd.LAST)),
    )


def _until(end_date: str, zone: ZoneInfo) -> datetime | None:
    """The last moment of a stored end_date: a bare date is that whole local day."""
    moment = datetime.fromisoformat(end_date)
    try:
        if "T" not in end_date:
            return end_of_day(moment.date(), zone)
        if moment.tzinfo is None:
            return resolve(moment, zone)
        return moment.astimezone(UTC)
    except OverflowError:  # an end in the first or the last hours of the calendar
        return LATEST if moment.year > 1 else EARLIEST


def _refuse_a_rule_that_never_calls(rule: Rule, anchor: datetime, zone: ZoneInfo) -> None:
    if next(occurrences(anchor, zone, rule), None) is not None:
        return
    first = next(occurrences(anchor, zone, replace(rule, until=None)), None)
    if first is None:
        raise InvalidRepeatConfig(None, "This repetition has no call before the year 10000.")
    at = first.isoformat().replace("+00:00", "Z")
    raise InvalidRepeatConfig("end_date", f"Is before the first call, which would be at {at}.")


def _unknown_key(key: object) -> InvalidRepeatConfig:
    # A lone surrogate is legal in JSON's escapes, but no answer could be written with it.
    name = str(key)[:60].encode("utf-8", "backslashreplace").decode() or '""'
    close = get_close_matches(name, READERS, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return InvalidRepeatConfig(name, f"Unknown key{hint} Known keys: {_listed(READERS)}.")


def _read_enabled(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidRepeatConfig(key, "Must be true or false.")
    return value


def _choice_of(choices: type[StrEnum]) -> Callable[[str, object], str]:
    def read(key: str, value: object) -> str:
        if not isinstance(value, str) or value not in list(choices):
            raise InvalidRepeatConfig(key, f"Must be one of {_listed(choices)}.")
        return value

    return read


def _number_up_to(maximum: int) -> Callable[[str, object], int]:
    def read(key: str, value: object) -> int:
        # To Python true is 1, to a client it is a slip.
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
            raise InvalidRepeatConfig(key, f"Must be a whole number from 1 to {maximum}.")
        return value

    return read


def _read_end_date(key: str, value: object) -> str:
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


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


READERS: dict[str, Callable[[str, object], Any]] = {
    "enabled": _read_enabled,
    "frequency": _choice_of(Frequency),
    "interval": _number_up_to(MAX_INTERVAL),
    "end_date": _read_end_date,
    "count": _number_up_to(MAX_COUNT),
    "weekdays": _read_weekdays,
    "gap": _choice_of(Gap),
    "month_end": _choice_of(MonthEnd),
}
