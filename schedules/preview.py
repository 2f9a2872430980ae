"""What will a timetable dial next? The same computation that arms calls, shown beforehand."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schedules.recurrence import Mark, Marked
from schedules.timetable import Timetable

MOST_OCCURRENCES = 100
MOST_SKIPPED = 200  # so many are listed; the calls beyond are found without them

_INSTANT = timedelta.resolution


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a preview: a call with its number, or one that is skipped, which has none.

    `at` is in UTC; `local` is on the schedule's clock, naive where that time is skipped."""

    number: int | None
    at: datetime | None
    local: datetime
    mark: Mark
    because: str


def preview(timetable: Timetable, *, since: datetime, occurrences: int) -> list[Line]:
    """The next so many calls from an aware moment on, and those that are skipped among them."""
    lines: list[Line] = []
    number = 0
    # In UTC: on a zone's own clock Python's differences are those of the wall.
    listed = _listed(timetable, since.astimezone(UTC) - _INSTANT)
    while number < occurrences and (each := next(listed, None)) is not None:
        number += each.at is not None
        lines.append(_line(each, number, timetable))
    return lines


def _listed(timetable: Timetable, after: datetime) -> Iterator[Marked]:
    skipped = 0
    for each in timetable.marked(after):
        yield each
        after = each.at or after
        skipped += each.at is None
        if skipped == MOST_SKIPPED:
            break
    else:
        return
    while (at := timetable.next(after)) is not None:
        yield next(each for each in timetable.marked(at - _INSTANT) if each.at)
        after = at


def sentence(because: str) -> str:
    """A reason as a sentence: `The clock skips 02:30 that day.`"""
    words = f"{because[:1].upper()}{because[1:]}"
    return words if not words or words.endswith(".") else f"{words}."


def _line(each: Marked, number: int, timetable: Timetable) -> Line:
    because = sentence(each.because)
    if each.at is None:
        return Line(None, None, each.wall, each.mark, because)
    return Line(number, each.at, each.at.astimezone(timetable.zone), each.mark, because)
