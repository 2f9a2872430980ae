"""Reads and writes moments in time as the API's users write them."""

import re
from datetime import UTC, datetime
from typing import Any

_DATE_AND_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)


def parse_moment(raw: Any) -> datetime:
    """An ISO 8601 date and time, aware where an offset or Z is given, cut to milliseconds.

    Raises ValueError, whose message is a sentence, for anything else (a bare date included)."""
    if not isinstance(raw, str) or not _DATE_AND_TIME.fullmatch(raw.strip()):
        raise ValueError(
            "A time is written in ISO 8601 with date and time, such as 2030-01-15T10:00:00Z."
        )
    try:
        moment = datetime.fromisoformat(raw.strip())
    except ValueError as error:
        raise ValueError(f"{raw!r} is not a time that exists in the calendar.") from error
    return whole_milliseconds(moment)


def whole_milliseconds(moment: datetime) -> datetime:
    """`moment` without its microseconds, which MongoDB would drop."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def in_utc(moment: datetime) -> datetime:
    """An aware `moment` in UTC. Raises ValueError where the calendar ends."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("The time lies outside the calendar.") from error


def show_utc(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z, to the second, or finer where there is a fraction."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
