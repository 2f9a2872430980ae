"""When is a wall time? The one place where a local clock is turned into UTC and back.

Written on PEP 495 (`fold`): for a time that the clock skips, fold=0 reads it with the offset
from before the change, which is the shift forward; for a time that happens twice, fold=0 is the
first of the two. A change of a zone's laws reaches a running process at its next start.
"""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

# The host's own zone, and the mark of a host that was never given one: no place of a called party.
NOT_A_PLACE = {"localtime", "Factory"}


class Gap(StrEnum):
    """What becomes of a wall time that does not exist."""

    FORWARD = "forward"
    SKIP = "skip"


class UnknownZone(ValueError):
    """Not the name of an IANA time zone."""


def resolve(wall: datetime, zone: ZoneInfo, *, gap: Gap = Gap.FORWARD) -> datetime | None:
    """The UTC instant of a naive wall time in the zone; of two, the first.

    A wall time that does not exist moves forward by the gap's length, or is None with Gap.SKIP.
    Raises OverflowError where the instant lies outside the years 1 to 9999."""
    if wall.tzinfo is not None:
        raise ValueError("A wall time has no offset and no zone of its own.")
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if gap is Gap.SKIP and to_wall(instant, zone) != wall:
        return None
    return instant


def readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """What a naive wall time may mean in UTC, by the clock before a change and by the one after.

    Both are the same but around a change: the first is earlier where the time happens twice, and
    later where it does not exist (it is then moved forward by the gap's length). Raises
    OverflowError where one lies outside the years 1 to 9999."""
    local = wall.replace(tzinfo=zone, fold=0)
    return local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def is_skipped(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether the zone's clock never shows a naive wall time. Raises OverflowError as resolve."""
    before, after = readings(wall, zone)
    return before > after


def stated_in(zone: ZoneInfo, wall_time: str, instant: datetime) -> datetime:
    """An instant as an anchor of a rule, which keeps its wall time in the zone.

    `wall_time` (naive, ISO 8601) is the one asked for where the clock skips it, else empty."""
    return datetime.fromisoformat(wall_time).replace(tzinfo=zone) if wall_time else instant


def to_wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the zone's wall clock shows at an aware instant, as a naive datetime.

    Raises OverflowError where that lies outside the years 1 to 9999."""
    if instant.tzinfo is None:
        raise ValueError("An instant needs an offset or a zone.")
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The last microsecond of a local day, in UTC; if its end is skipped, the last before the gap.

    Raises OverflowError where that lies outside the years 1 to 9999."""
    wall = datetime.combine(day, time.max)
    # The second of two: clocks that go back at 00:01 (St. John's until 2011) return to the day.
    last = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if to_wall(last, zone) == wall:
        return last
    return _last_moment_before_the_gap(wall, zone)


def load_zone(name: str) -> ZoneInfo:
    """The zone of that exact IANA name, kept for the life of the process.

    Raises UnknownZone for anything else: other spellings, paths, `posix/…`, `localtime`."""
    if not isinstance(name, str):
        raise UnknownZone("A time zone is given by its IANA name, such as Europe/Helsinki.")
    if name not in zone_names():
        raise UnknownZone(f"{name[:60]!r} is not an IANA time zone name, such as Europe/Helsinki.")
    return _zone(name)


@cache
def zone_names() -> frozenset[str]:
    """The names that load_zone accepts."""
    return frozenset(available_timezones() - NOT_A_PLACE)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _last_moment_before_the_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """The microsecond before the change that skips a wall time, found by halving."""
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    while after - before > timedelta.resolution:
        middle = before + (after - before) // 2
        if to_wall(middle, zone) < wall:
            before = middle
        else:
            after = middle
    return before
