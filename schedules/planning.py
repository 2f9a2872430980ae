"""Checks what a client asks for and makes it a plan: whom to call, when, and by what rule."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from polaris.errors import (
    InvalidRepetition,
    InvalidRetries,
    InvalidTime,
    InvalidWindow,
    MissingData,
    OutsideWindow,
)
from polaris.moments import in_utc, parse_moment, show_utc, whole_milliseconds
from schedules.calling_window import (
    NUMBER,
    CallingWindow,
    InvalidCallingWindow,
    normalise_calling_window,
    parse_calling_window,
)
from schedules.localtime import (
    UnknownZone,
    is_skipped,
    load_zone,
    readings,
    stated_in,
    to_wall,
)
from schedules.number_zones import window_zones
from schedules.phone import check_phone
from schedules.repeat_config import (
    InvalidRepeatConfig,
    normalise_repeat_config,
    parse_repeat_config,
)
from schedules.retry_policy import InvalidRetryPolicy, normalise_retry_policy
from schedules.timetable import LOOK_AHEAD, Timetable

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
    timetable: Timetable
    wall_time: str = ""
    calling_window: dict[str, Any] | None = None
    retry_policy: dict[str, Any] | None = None
    overlap: str = "skip"

    @property
    def anchor(self) -> datetime:
        """What the rule counts from."""
        return self.timetable.anchor

    @property
    def goes_by_number(self) -> bool:
        """Whether the called number decides when its window is open."""
        return _goes_by_number(self.timetable.window)


def make_plan(
    *,
    phone: str | None,
    scheduled_time: str | datetime,
    timezone: str,
    repeat_config: Any,
    now: datetime,
    calling_window: Any = None,
    retry_policy: Any = None,
    overlap: str = "skip",
    kept_time: datetime | None = None,
    kept_wall: tuple[str, str] = ("", ""),
    kept_rule: tuple[str, dict[str, Any] | None] | None = None,
    kept_window: tuple[str, dict[str, Any] | None] = ("", None),
) -> Plan:
    """Check everything at once; nothing has been written when this raises.

    `scheduled_time` with an offset is that instant, without one local time in `timezone`. It may
    lie before `now` only where it is `kept_time`, the anchor that a recurring schedule already
    has. Where its zone and repeat_config (`kept_rule`) and its calling window with the number that
    it may go by (`kept_window`: phone, calling_window) are the kept ones too, nothing is armed by
    the plan, and it does not matter whether an occurrence is left. `kept_wall` is the zone and the
    wall time that go with the kept time: who sends that instant again keeps both. Without a phone,
    which only a preview may lack, the window must not go by the number. Raises InvalidPhone,
    InvalidTime, InvalidRepetition, InvalidWindow or InvalidRetries, each with the field named."""
    checked_phone = check_phone(phone) if phone is not None else ""
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
    window = _read_window(calling_window)
    if _goes_by_number(window) and not checked_phone:
        raise MissingData("Required, because the calling window goes by its zone.", field="phone")
    zones = window_zones(window, phone=checked_phone, zone=zone) if window else ()
    timetable = Timetable(anchor, zone, rule, window, zones)
    checked = Plan(
        checked_phone,
        instant,
        zone_name,
        config,
        first=instant,
        timetable=timetable,
        wall_time=wall_time,
        calling_window=normalise_calling_window(calling_window),
        retry_policy=_read_retries(retry_policy),
        overlap=overlap,
    )
    is_rule_kept = instant == kept_time and (zone_name, config) == kept_rule
    if is_rule_kept and _is_window_kept(checked, *kept_window):
        return checked
    if instant < now and not (rule and instant == kept_time):
        raise InvalidTime(f"{instant:%Y-%m-%d %H:%M:%S} UTC is in the past.")
    _refuse_a_window_that_never_opens(timetable, max(instant, now))
    after = max(instant - _INSTANT, now - _INSTANT)
    first = timetable.next(after)
    if first is None:
        raise _without_a_call(timetable, after)
    return replace(checked, first=first)


def _read_window(raw: Any) -> CallingWindow | None:
    try:
        return parse_calling_window(raw)
    except InvalidCallingWindow as error:
        raise InvalidWindow(error.issue, field=error.field) from error


def _read_retries(raw: Any) -> dict[str, Any] | None:
    try:
        return normalise_retry_policy(raw)
    except InvalidRetryPolicy as error:
        raise InvalidRetries(error.issue, field=error.field) from error


def _goes_by_number(window: CallingWindow | None) -> bool:
    return window is not None and window.zone == NUMBER


def _is_window_kept(plan: Plan, phone: str, calling_window: dict[str, Any] | None) -> bool:
    is_same_number = plan.phone == phone or not plan.goes_by_number
    return plan.calling_window == calling_window and is_same_number


def _refuse_a_window_that_never_opens(timetable: Timetable, start: datetime) -> None:
    """One without an opening in sight, or that is closed at the time of a one-time call."""
    window = timetable.window
    if window is None:
        return
    opening = window.next_opening(start, timetable.zones)
    if opening is None and len(timetable.zones) > 1:
        raise InvalidWindow(
            f"The number may be in any of {len(timetable.zones)} time zones, and the window is "
            "never open in all of them at once: name one zone, or give it more hours.",
            field="calling_window.zone",
        )
    if opening is None:
        raise InvalidWindow("It does not open before the calendar ends.")
    if timetable.rule is None and opening != start:
        raise OutsideWindow(
            f"{timetable.outside(window)} It opens next on {_in_both(opening, timetable)}."
        )


def _without_a_call(timetable: Timetable, after: datetime) -> Exception:
    """Why a rule has no next call: it has ended, or its window lets none through."""
    if replace(timetable, window=None).next(after) is None:
        return InvalidRepetition("The rule has no occurrence left.")
    return InvalidWindow(f"None of the next {LOOK_AHEAD} occurrences of the rule lies within it.")


def _in_both(moment: datetime, timetable: Timetable) -> str:
    """A moment in the schedule's zone, and in UTC for who reads programs' answers."""
    local = to_wall(moment, timetable.zone)
    return f"{local:%Y-%m-%d at %H:%M} {timetable.zone} ({show_utc(moment)})"


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
