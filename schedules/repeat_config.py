"""What does a client's `repeat_config` mean? It is checked and becomes a Rule.

schedules.repeat_keys reads each key; here is what they mean together. The table for users is in
docs/time.md.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from schedules.crontab import parse_crontab
from schedules.localtime import Gap, end_of_day, resolve, to_wall
from schedules.public_holidays import last_known_year
from schedules.recurrence import Frequency, MonthEnd, Rule, occurrences
from schedules.repeat_keys import (
    MAX_COUNT,
    MAX_EXDATES,
    MAX_INTERVAL,
    READERS,
    WEEKDAYS,
    InvalidRepeatConfig,
    listed,
    read_keys,
)
from schedules.rrule import YEARS_FOLLOWED, parse_recurrence

__all__ = [
    "MAX_COUNT",
    "MAX_EXDATES",
    "MAX_INTERVAL",
    "READERS",
    "WEEKDAYS",
    "InvalidRepeatConfig",
    "normalise_repeat_config",
    "parse_repeat_config",
]

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
# A repetition goes by one of these.
KINDS = ("frequency", "cron", "rrule")


def parse_repeat_config(raw: object, *, anchor: datetime, zone: ZoneInfo) -> Rule | None:
    """The rule of a repeat_config; None for null, {} and a disabled one.

    Raises InvalidRepeatConfig, also for the keys of a disabled config and for a rule that would
    never call. The anchor is the aware scheduled_time; local dates and times are read in the
    zone."""
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
    """The given keys in a fixed order, in their stored form, with the defaults."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InvalidRepeatConfig(None, "Must be an object or null.")
    given = read_keys(raw)
    if not given:
        return None
    enabled = given.get("enabled", True)
    _refuse_what_does_not_go_together(given, enabled=enabled)
    if "frequency" not in given:
        return {"enabled": enabled} | given
    return {"enabled": enabled, "frequency": given["frequency"], "interval": 1} | given


def _refuse_what_does_not_go_together(given: dict[str, Any], *, enabled: bool) -> None:
    kinds = [kind for kind in KINDS if kind in given]
    if enabled and not kinds:
        raise InvalidRepeatConfig(
            "frequency",
            "Required while the repetition is enabled, unless cron or rrule is given: "
            f"{listed(Frequency)}.",
        )
    if len(kinds) > 1:
        raise InvalidRepeatConfig(kinds[1], "Goes without the others of frequency, cron, rrule.")
    if not kinds:
        return
    frequency = given.get("frequency")
    if "interval" in given and frequency is None:
        raise InvalidRepeatConfig("interval", "Only a repetition by frequency has an interval.")
    if "weekdays" in given and frequency != Frequency.WEEKLY:
        raise InvalidRepeatConfig("weekdays", "Only a weekly repetition has weekdays.")
    if "month_end" in given and frequency not in (Frequency.MONTHLY, Frequency.YEARLY):
        raise InvalidRepeatConfig(
            "month_end", "Only a monthly or yearly repetition has a month_end."
        )
    for key, part in (("end_date", "UNTIL"), ("count", "COUNT")):
        if key in given and "rrule" in given:
            raise InvalidRepeatConfig(key, f"An rrule says its end itself, with {part}.")


def _rule(config: dict[str, Any], zone: ZoneInfo) -> Rule:
    recurrence = parse_recurrence(config["rrule"]) if "rrule" in config else None
    end = recurrence.until if recurrence else config.get("end_date")
    exdates = config.get("exdates", ())
    return Rule(
        frequency=Frequency(config["frequency"]) if "frequency" in config else None,
        interval=config.get("interval", 1),
        count=recurrence.count if recurrence else config.get("count"),
        until=_until(end, zone) if end else None,
        weekdays=frozenset(WEEKDAYS.index(name) for name in config.get("weekdays", ())),
        gap=Gap(config.get("gap", Gap.FORWARD)),
        month_end=MonthEnd(config.get("month_end", MonthEnd.LAST)),
        crontab=parse_crontab(config["cron"]) if "cron" in config else None,
        recurrence=recurrence,
        excluded_days=frozenset(date.fromisoformat(each) for each in exdates if _is_day(each)),
        excluded_moments=frozenset(_moment(each, zone) for each in exdates if not _is_day(each)),
        holidays_of=config.get("skip_holidays", ""),
    )


def _until(end_date: str, zone: ZoneInfo) -> datetime:
    """The last moment of a stored end_date: a bare date is that whole local day."""
    if not _is_day(end_date):
        return _moment(end_date, zone)
    day = date.fromisoformat(end_date)
    try:
        return end_of_day(day, zone)
    except OverflowError:  # an end in the first or the last hours of the calendar
        return LATEST if day.year > 1 else EARLIEST


def _moment(written: str, zone: ZoneInfo) -> datetime:
    """The instant of a stored date and time; without an offset it is local."""
    moment = datetime.fromisoformat(written)
    try:
        if moment.tzinfo is None:
            return resolve(moment, zone) or LATEST
        return moment.astimezone(UTC)
    except OverflowError:
        return LATEST if moment.year > 1 else EARLIEST


def _is_day(written: str) -> bool:
    return "T" not in written


def _refuse_a_rule_that_never_calls(rule: Rule, anchor: datetime, zone: ZoneInfo) -> None:
    first = _first_call(rule, anchor, zone)
    if first is not None and not rule.holidays_of:
        return
    named = _first_call(replace(rule.without_exclusions(), until=None), anchor, zone)
    if named is None:
        if rule.recurrence is not None:
            never = f"Never calls: no day within {YEARS_FOLLOWED} years of the start matches."
            raise InvalidRepeatConfig("rrule", never)
        raise InvalidRepeatConfig(None, "This repetition has no call before the year 10000.")
    if first is None and rule.until is not None:
        _refuse_the_end(rule, _first_call(replace(rule, until=None), anchor, zone))
    if first is None or _is_after_all_known_holidays(first, named, rule, zone):
        key = "skip_holidays" if rule.holidays_of else "exdates"
        raise InvalidRepeatConfig(key, "Leaves no call of this repetition.")


def _refuse_the_end(rule: Rule, first: datetime | None) -> None:
    if first is None:
        return
    at = first.isoformat().replace("+00:00", "Z")
    raise (
        InvalidRepeatConfig("rrule", f"UNTIL is before the first call, which would be at {at}.")
        if rule.recurrence
        else InvalidRepeatConfig("end_date", f"Is before the first call, which would be at {at}.")
    )


def _is_after_all_known_holidays(
    first: datetime, named: datetime, rule: Rule, zone: ZoneInfo
) -> bool:
    """Whether a rule of nothing but holidays calls only because later ones are not known yet."""
    if not rule.holidays_of:
        return False
    last = last_known_year(rule.holidays_of)
    return to_wall(named, zone).year <= last < to_wall(first, zone).year


def _first_call(rule: Rule, anchor: datetime, zone: ZoneInfo) -> datetime | None:
    return next(occurrences(anchor, zone, rule), None)
