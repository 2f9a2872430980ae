"""How the admin says when a schedule calls."""

from datetime import datetime, timedelta
from typing import Any

from polaris.admin_words import moment_in_words, span_in_words
from schedules.calling_window import InvalidCallingWindow, parse_calling_window
from schedules.crontab import parse_crontab
from schedules.models import CallSchedule
from schedules.recurrence import Frequency
from schedules.retry_policy import InvalidRetryPolicy, parse_retry_policy

ONCE = "once"
_UNITS = {
    Frequency.HOURLY: "hour",
    Frequency.DAILY: "day",
    Frequency.WEEKLY: "week",
    Frequency.MONTHLY: "month",
    Frequency.YEARLY: "year",
}


def moment_of(schedule: CallSchedule, moment: datetime) -> str:
    """A moment on the schedule's own clock."""
    return moment_in_words(moment, schedule.zone)


def repetition_in_words(config: dict[str, Any] | None) -> str:
    """A stored repeat_config: `every 2 weeks on Monday, Friday, until 2026-12-31`."""
    if not config or not config.get("enabled"):
        return ONCE
    words = _pace_in_words(config)
    if days := config.get("weekdays"):
        words += f" on {', '.join(day.capitalize() for day in days)}"
    if end := config.get("end_date"):
        words += f", until {end.replace('T', ' ')}"
    if count := config.get("count"):
        words += f", {count} {'time' if count == 1 else 'times'}"
    if place := config.get("skip_holidays"):
        words += f", not on holidays of {place}"
    if exdates := config.get("exdates"):
        words += f", but for {len(exdates)} {'date' if len(exdates) == 1 else 'dates'}"
    return words


def _pace_in_words(config: dict[str, Any]) -> str:
    if "cron" in config:
        return crontab_in_words(config["cron"])
    if "rrule" in config:
        return f"by the rule {config['rrule'].replace(';', '; ')}"
    interval, unit = config.get("interval", 1), _UNITS[config["frequency"]]
    return f"every {unit}" if interval == 1 else f"every {interval} {unit}s"


def crontab_in_words(line: str) -> str:
    """`0 9 * * MON: at 09:00 on Monday`."""
    explained = parse_crontab(line).explain()
    return f"{line}: {explained[:1].lower()}{explained[1:]}"


def window_in_words(config: dict[str, Any] | None) -> str:
    """A stored calling_window: `08:00 to 21:00 every day, on the called number's clock`."""
    try:
        window = parse_calling_window(config)
    except InvalidCallingWindow as error:  # a row that was edited by hand
        return f"cannot be read: {error}"
    return window.in_words() if window else "at any hour"


def retries_in_words(config: dict[str, Any] | None) -> str:
    """A stored retry_policy: `after busy and no answer, up to 3 attempts, after 1 min, 5 min`."""
    try:
        policy = parse_retry_policy(config)
    except InvalidRetryPolicy as error:
        return f"cannot be read: {error}"
    if policy is None or config is None:
        return "none: an occurrence is tried once"
    outcomes = " and ".join(name.replace("_", " ") for name in config["on"])
    delays = ", ".join(_delay_in_words(each) for each in policy.delays)
    return f"retries {outcomes}, up to {policy.attempts} attempts, after {delays}"


def _delay_in_words(delay: timedelta) -> str:
    seconds = delay.total_seconds()
    return f"{seconds:.0f} s" if seconds < 10 else span_in_words(delay)
