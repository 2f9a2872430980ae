"""Occurrences with a mark where a change of the clock moved one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from schedules.localtime import resolve, to_wall
from schedules.recurrence import Frequency, Rule, next_occurrence


class Mark(StrEnum):
    """What a change of the clock, or a calling window, did to an occurrence."""

    NONE = "none"
    MOVED = "moved"
    FIRST_OF_TWO = "first_of_two"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Marked:
    """An occurrence of a rule: `at` in UTC, None where it is skipped; `wall` as the rule names it,
    naive and local."""

    at: datetime | None
    wall: datetime
    mark: Mark = Mark.NONE
    because: str = ""


def marked_occurrences(
    anchor: datetime, zone: ZoneInfo, rule: Rule | None, *, after: datetime
) -> Iterator[Marked]:
    """The occurrences strictly later than an aware moment, in order, each with its mark."""
    while (at := next_occurrence(anchor, zone, rule, after=after)) is not None:
        yield _marked(at, anchor, zone, rule)
        after = at


def _marked(at: datetime, anchor: datetime, zone: ZoneInfo, rule: Rule | None) -> Marked:
    wall, asked = to_wall(at, zone), to_wall(anchor, zone).time()
    if rule is not None and rule.frequency is not Frequency.HOURLY and wall.time() != asked:
        named = datetime.combine(wall.date(), asked)
        return Marked(at, named, Mark.MOVED, f"That day's clock skips {asked:%H:%M}.")
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if resolve(wall, zone) == at < second:
        return Marked(at, wall, Mark.FIRST_OF_TWO, f"That day's clock shows {wall:%H:%M} twice.")
    return Marked(at, wall)
