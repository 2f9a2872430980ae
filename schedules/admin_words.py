"""How the admin says when a schedule calls."""

from datetime import datetime
from typing import Any

from polaris.admin_words import moment_in_words
from schedules.models import CallSchedule
from schedules.recurrence import Frequency

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
