"""Checks what a client asks for and makes it a plan: whom to call, when, and by what rule."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from polaris.errors import InvalidRepetition, InvalidTime
from polaris.moments import in_utc, parse_moment, whole_milliseconds
from schedules.localtime import UnknownZone, load_zone, resolve, to_wall
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
    """What has been checked and may be written. `scheduled_time` and `first` are in UTC."""

    phone: str
    scheduled_time: datetime
    timezone: str
    repeat_config: dict[str, Any] | None
    first: datetime


def make_plan(
    *,
    phone: str,
    scheduled_time: str | datetime,
    timezone: str,
    repeat_config: Any,
    now: datetime,
    kept_time: datetime | None = None,
    kept_rule: tuple[str, dict[str, Any] | None] | None = None,
) -> Plan:
    """Check everything at once; nothing has been written when this raises.

    `scheduled_time` with an offset is that instant, without one local time in `timezone`. It may
    lie before `now` only where it is `kept_time`, the anchor that a recurring schedule already
    has. Where its zone and repeat_config are the kept ones too, nothing is armed by the plan, and
    it does not matter whether an occurrence is left. Raises InvalidPhone, InvalidTime or
    InvalidRepetition, each with the field named."""
    checked_phone = check_phone(phone)
    zone_name = _check_zone(timezone)
    anchor = _read_anchor(scheduled_time, zone_name)
    zone = load_zone(zone_name)
    try:
        rule = parse_repeat_config(repeat_config, anchor=anchor, zone=zone)
        config = normalise_repeat_config(repeat_config, anchor=anchor, zone=zone)
    except InvalidRepeatConfig as error:
        raise InvalidRepetition(error.issue, field=error.field) from error
    if anchor == kept_time and (zone_name, config) == kept_rule:
        return Plan(checked_phone, anchor, zone_name, config, first=anchor)
    if anchor < now and not (rule and anchor == kept_time):
        raise InvalidTime(f"{anchor:%Y-%m-%d %H:%M:%S} UTC is in the past.")
    first = next_occurrence(anchor, zone, rule, after=max(anchor - _INSTANT, now - _INSTANT))
    if first is None:
        raise InvalidRepetition("The rule has no occurrence left.")
    return Plan(checked_phone, anchor, zone_name, config, first)


def _check_zone(name: str) -> str:
    try:
        load_zone(name)
    except UnknownZone as error:
        raise InvalidTime(str(error), field="timezone") from error
    return name


def _read_anchor(raw: str | datetime, zone_name: str) -> datetime:
    try:
        moment = parse_moment(raw) if isinstance(raw, str) else whole_milliseconds(raw)
        zone = load_zone(zone_name)
        anchor = resolve(moment, zone) if moment.tzinfo is None else in_utc(moment)
        if anchor is None:
            raise ValueError("The time does not exist on that day's clock.")
        to_wall(anchor, zone)
    except OverflowError as error:
        raise InvalidTime("The time lies outside the calendar.") from error
    except ValueError as error:
        raise InvalidTime(str(error)) from error
    return anchor
