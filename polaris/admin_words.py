"""How the admin says a time and a length of time."""

from datetime import UTC, datetime, timedelta, tzinfo

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def moment_in_words(moment: datetime, zone: tzinfo) -> str:
    """An aware moment on the zone's clock: `Tue 24 Nov 2026, 09:00 Europe/Berlin`."""
    try:
        local = moment.astimezone(zone)
    except OverflowError:  # the calendar ends before this zone's clock gets there
        local = moment.astimezone(UTC)
    return f"{wall_in_words(local)} {local.tzinfo}"


def wall_in_words(wall: datetime) -> str:
    """What a wall clock shows: `Tue 24 Nov 2026, 09:00`."""
    clock = wall.strftime("%H:%M:%S" if wall.second else "%H:%M")
    return f"{wall:%a} {wall.day} {wall:%b} {wall.year}, {clock}"


def clock_in_words(moment: datetime, zone: tzinfo) -> str:
    """An aware moment of a day that is known already: `10:00:05`."""
    return moment.astimezone(zone).strftime("%H:%M:%S")


def span_in_words(span: timedelta) -> str:
    """A length of time as finely as it matters: `0.4 s`, `46 s`, `2 h 5 min`, `16 h`."""
    seconds = abs(span.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    place = next(place for place, (_, size) in enumerate(_UNITS) if rest >= size)
    unit, size = _UNITS[place]
    count, rest = divmod(rest, size)
    words = f"{count} {unit}"
    if count < 10 and place + 1 < len(_UNITS):
        finer, size = _UNITS[place + 1]
        words += f" {rest // size} {finer}" if rest >= size else ""
    return words


def distance_in_words(moment: datetime, now: datetime) -> str:
    """How far a moment lies ahead or back: `in 5 min`, `3 h ago`."""
    span = moment - now
    if abs(span) < timedelta(seconds=1):
        return "now"
    words = span_in_words(span)
    return f"in {words}" if span > timedelta() else f"{words} ago"


def lateness_in_words(lateness: timedelta | None) -> str:
    """How late something was: `on time` where it was less than a second."""
    if lateness is None:
        return ""
    if abs(lateness) < timedelta(seconds=1):
        return "on time"
    return f"{span_in_words(lateness)} {'late' if lateness > timedelta() else 'early'}"
