"""Checks what a client asks for and makes it a plan: whom to call, when, and by what rule."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from polaris.errors import InvalidRepetition, InvalidTime
from polaris.moments import in_utc, parse_moment, whole_milliseconds
from schedules.localtime import (
    UnknownZone,
    is_skipped,
    load_zone,
    readings,
    stated_in,
    to_wall,
)
from schedules.phone import check_phone
from schedules.recurrence import next_occurrence
from schedules.repeat_config import (
    InvalidRepeatConfig,
    normalise_repeat_config,
    parse_repeat_config,
)

_INSTANT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What has been checked and may be written. `scheduled_time` and `first` are in UTC.

    `wall_time` is the local time asked for (naive, ISO 8601) where that day's clock skips it."""

    phone: str
    scheduled_time: datetime
    timezone: str
    repeat_config: dict[str, Any] | None
    first: datetime
    wall_time: str = ""

    @property
    def anchor(self) -> datetime:
        """What the rule counts from."""
        return stated_in(load_zone(self.timezone), self.wall_time, self.scheduled_time)


def make_plan(
    *,
    phone: str,
    scheduled_time: str | datetime,
    timezone: str,
    repeat_config: Any,
    now: datetime,
    kept_time: datetime | None = None,
    kept_wall: tuple[str, str] = ("", ""),
    kept_rule: tuple[str, dict[str, Any] | None] | None = None,
) -> Plan:
    """Check everything at once; nothing has been written when this raises.

    `scheduled_time` with an offset is that instant, without one local time in `timezone`. It may
    lie before `now` only where it is `kept_time`, the anchor that a recurring schedule already
    has. Where its zone and repeat_config are the kept ones too, nothing is armed by the plan, and
    it does not matter whether an occurrence is left. `kept_wall` is the zone and the wall time
    that go with the kept time: who sends that instant again keeps both. Raises InvalidPhone,
    InvalidTime or InvalidRepetition, each with the field named."""
    checked_phone = check_phone(phone)
    zone_name = _check_zone(timezone)
    zone = load_zone(zone_name)
    instant, wall_time = _read_time(scheduled_time, zone)
    if wall_time is None:
        wall_time = kept_wall[1] if (instant, zone_name) == (kept_time, kept_wall[0]) else ""
    anchor = stated_in(zone, wall_time, instant)
    try:
        rule = parse_repeat_config(repeat_config, anchor=anchor, zone=zone)
        config = normalise_repeat_config(repeat_config, anchor=anchor, zone=zone)
    except InvalidRepeatConfig as error:
        raise InvalidRepetition(error.issue, field=error.field) from error
    if instant == kept_time and (zone_name, config) == kept_rule:
        return Plan(checked_phone, instant, zone_name, config, instant, wall_time)
    if instant < now and not (rule and instant == kept_time):
        raise InvalidTime(f"{instant:%Y-%m-%d %H:%M:%S} UTC is in the past.")
    first = next_occurrence(anchor, zone, rule, after=max(instant - _INSTANT, now - _INSTANT))
    if first is None:
        raise InvalidRepetition("The rule has no occurrence left.")
    return Plan(checked_phone, instant, zone_name, config, first, wall_time)


def _check_zone(name: str) -> str:
    try:
        load_zone(name)
    except UnknownZone as error:
        raise InvalidTime(str(error), field="timezone") from error
    return name


def _read_time(raw: str | datetime, zone: ZoneInfo) -> tuple[datetime, str | None]:
    """The instant in UTC, and the wall time asked for where the clock skips it.

    The latter is None where an offset was given, which asks for no wall time."""
    try:
        moment = parse_moment(raw) if isinstance(raw, str) else whole_milliseconds(raw)
        if moment.tzinfo is not None:
            instant = in_utc(moment)
            to_wall(instant, zone)
            return instant, None
        instant, _ = readings(moment, zone)
        return instant, moment.isoformat() if is_skipped(moment, zone) else ""
    except OverflowError as error:
        raise InvalidTime("The time lies outside the calendar.") from error
    except ValueError as error:
        raise InvalidTime(str(error)) from error
