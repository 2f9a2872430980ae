"""When is a schedule's number dialled? Its rule's occurrences, as far as its calling window lets.

What a preview shows, what is armed and what is explained afterwards all come from here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from schedules.calling_window import HORIZON, CallingWindow
from schedules.localtime import to_wall
from schedules.recurrence import (
    Mark,
    Marked,
    Rule,
    due_occurrences,
    marked_occurrences,
    next_occurrence,
)

# So many occurrences in a row outside the window, and nothing more is looked for.
LOOK_AHEAD = 1000

_BATCH = 64
_INSTANT = timedelta.resolution
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Timetable:
    """Anchor, zone and rule as in schedules.recurrence, and the window with its zones.

    Of a rule, occurrences outside the window are passed over. A one-time call stands as it is:
    planning refuses one outside its window, and dialling waits for the next opening."""

    anchor: datetime
    zone: ZoneInfo
    rule: Rule | None = None
    window: CallingWindow | None = None
    zones: tuple[ZoneInfo, ...] = ()

    def next(self, after: datetime) -> datetime | None:
        """The first occurrence strictly later than an aware moment, in UTC.

        None where the rule has ended, or LOOK_AHEAD occurrences lie outside the window."""
        if self._limits is None:
            return next_occurrence(self.anchor, self.zone, self.rule, after=after)
        try:
            return next(self._open_ones(self._limits, after + _INSTANT), None)
        except OverflowError:  # the calendar ends
            return None

    def due(self, start: datetime, end: datetime, limit: int) -> list[datetime]:
        """At most `limit` occurrences from start to end, both included, in UTC and in order."""
        if self._limits is None:
            return self._of_rule(start, end, limit)
        found: list[datetime] = []
        while len(found) < limit and (batch := self._of_rule(start, end, limit)):
            found += [each for each in batch if self._limits.is_open(each, self.zones)]
            start = batch[-1] + _INSTANT
        return found[:limit]

    def marked(self, after: datetime) -> Iterator[Marked]:
        """Every occurrence strictly later than `after`, also those that are skipped, with marks.

        It may go on for ever without one that is not skipped."""
        limits = self._limits
        outside = self.outside(limits) if limits else ""
        for each in marked_occurrences(self.anchor, self.zone, self.rule, after=after):
            if each.at is None or limits is None or limits.is_open(each.at, self.zones):
                yield each
            else:
                wall = to_wall(each.at, self.zone)
                yield Marked(None, wall, Mark.SKIPPED, outside)

    @staticmethod
    def outside(window: CallingWindow) -> str:
        """Why an occurrence is passed over, in words."""
        return f"It is outside the calling window, {window.in_words()}."

    @property
    def _limits(self) -> CallingWindow | None:
        return self.window if self.rule is not None else None

    def _open_ones(self, window: CallingWindow, start: datetime) -> Iterator[datetime]:
        """Those within the window, from start on, until LOOK_AHEAD in a row are outside."""
        closed, size = 0, 1
        while batch := self._of_rule(start, _END, size):
            opening = start
            for each in batch:
                if each < opening:
                    continue
                opening = window.next_opening(each, self.zones) or each + HORIZON
                if opening == each:
                    yield each
                closed = 0 if opening == each else closed + 1
                if closed == LOOK_AHEAD:
                    return
            # A rule of every minute is not walked through while the window is closed.
            start, size = max(batch[-1] + _INSTANT, opening), _BATCH

    def _of_rule(self, start: datetime, end: datetime, limit: int) -> list[datetime]:
        return due_occurrences(self.anchor, self.zone, self.rule, start=start, end=end, limit=limit)
