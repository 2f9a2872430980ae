"""How the admin says when a schedule calls."""

from datetime import datetime, timedelta
from typing import Any

from polaris.admin_words import moment_in_words, span_in_words
from schedules.calling_window import InvalidCallingWindow, parse_calling_window
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
    interval, unit = config.get("interval", 1), _UNITS[config["frequency"]]
    words = f"every {unit}" if interval == 1 else f"every {interval} {unit}s"
    if days := config.get("weekdays"):
        words += f" on {', '.join(day.capitalize() for day in days)}"
    if end := config.get("end_date"):
        words += f", until {end.replace('T', ' ')}"
    if count := config.get("count"):
        words += f", {count} {'time' if count == 1 else 'times'}"
    return words


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
