"""When is a schedule's number dialled? Its rule's occurrences, as far as its calling window lets.

What a preview shows, what is armed and what is explained afterwards all come from here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from schedules.calling_window import HORIZON, CallingWindow
from schedules.localtime import resolve, to_wall
from schedules.recurrence import (
    DAY,
    LONGEST_GAP,
    Mark,
    Marked,
    Rule,
    due_occurrences,
    is_called_off,
    marked_occurrences,
    next_occurrence,
)

# So many occurrences in a row outside the window, and nothing more is looked for.
LOOK_AHEAD = 1000

_BATCH = 64
_MOST_IN_A_SPAN = 10_000  # a rule of every minute has fewer in the two days around a change
_INSTANT = timedelta.resolution
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Timetable:
    """Anchor, zone and rule as in schedules.recurrence, and the window with its zones.

    Of a rule, occurrences outside the window are passed over, but for those that a change of the
    clock has moved there: they are called when it opens next. A one-time call stands as it is:
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
            return next(self._called(self._limits, after + _INSTANT), None)
        except OverflowError:  # the calendar ends
            return None

    def due(self, start: datetime, end: datetime, limit: int) -> list[datetime]:
        """At most `limit` occurrences from start to end, both included, in UTC and in order."""
        if self._limits is None:
            return self._of_rule(start, end, limit)
        within = takewhile(lambda each: each <= end, self._called(self._limits, start, end))
        return list(islice(within, limit))

    def marked(self, after: datetime) -> Iterator[Marked]:
        """Every occurrence strictly later than `after`, also those that are skipped, with marks.

        It may go on for ever without one that is not skipped."""
        listed = marked_occurrences(self.anchor, self.zone, self.rule, after=after)
        return self._marked(self._limits, after, listed) if self._limits else listed

    @staticmethod
    def outside(window: CallingWindow) -> str:
        """Why an occurrence is passed over, in words."""
        return f"It is outside the calling window, {window.in_words()}."

    @property
    def _limits(self) -> CallingWindow | None:
        return self.window if self.rule is not None else None

    def _called(
        self, window: CallingWindow, start: datetime, end: datetime = _END
    ) -> Iterator[datetime]:
        """From `start` on: those within the window, and at its next opening those that a change of
        the clock has moved out of it. All up to `end`, and perhaps some after it."""
        waiting = set(self._waiting_at(window, start))
        for each, is_open in self._walk(window, start, end):
            if not is_open:
                waiting.add(each)
                continue
            yield from sorted(opening for opening in waiting if opening < each)
            waiting = {opening for opening in waiting if opening > each}
            yield each
        yield from sorted(waiting)

    def _walk(
        self, window: CallingWindow, start: datetime, end: datetime
    ) -> Iterator[tuple[datetime, bool]]:
        """Those within the window, each with True, and the openings that others wait for, with
        False; until `end`, or until LOOK_AHEAD in a row are outside."""
        closed, size = 0, 1
        while batch := self._of_rule(start, end, size):
            opening = start
            for each in batch:
                if each >= opening:
                    opening = window.next_opening(each, self.zones) or each + HORIZON
                    closed = 0 if opening == each else closed + 1
                if opening == each:
                    yield each, True
                elif moved := self._moved(window, each):
                    yield moved, False
                if closed == LOOK_AHEAD:
                    return
            start, size = batch[-1] + _INSTANT, min(2 * size, _BATCH)
            if opening > start and not any(self._changes(start - LONGEST_GAP, opening)):
                start = opening  # a rule of every minute is not walked through while it is closed

    def _marked(
        self, window: CallingWindow, after: datetime, listed: Iterator[Marked]
    ) -> Iterator[Marked]:
        waiting = self._waiting_at(window, after + _INSTANT)
        for each in listed:
            at = each.at or resolve(each.wall, self.zone) or each.wall.replace(tzinfo=UTC)
            for opening in sorted(opening for opening in waiting if opening < at):
                yield self._put_off(window, waiting.pop(opening), opening)
            if each.at is None:
                yield each
            elif window.is_open(at, self.zones):
                if at in waiting:
                    yield self._met(waiting.pop(at), at)
                yield each
            elif moved := self._opening_for(window, each, at):
                waiting.setdefault(moved, each)
            else:
                yield Marked(None, to_wall(at, self.zone), Mark.SKIPPED, self.outside(window))
        for opening in sorted(waiting):
            yield self._put_off(window, waiting[opening], opening)

    def _waiting_at(self, window: CallingWindow, start: datetime) -> dict[datetime, Marked]:
        """What a change of the clock had moved out of the window before `start`, by the opening
        from then on that it waits for."""
        waiting: dict[datetime, Marked] = {}
        for change in self._changes(start - HORIZON - LONGEST_GAP, start):
            end = min(change + DAY + LONGEST_GAP, start - _INSTANT)
            for each in self._of_rule(change, end, _MOST_IN_A_SPAN):
                if window.is_open(each, self.zones):
                    continue
                moved = self._moved(window, each)
                if moved is not None and moved >= start:
                    waiting.setdefault(moved, self._mark_of(each))
        return waiting

    def _moved(self, window: CallingWindow, at: datetime) -> datetime | None:
        """The opening that an occurrence outside the window waits for, where the clock moved it."""
        gap = _change(at - LONGEST_GAP, at, self.zone)
        if gap <= timedelta() or not _change(at - gap, at, self.zone):
            return None  # no clock was put forward so shortly before
        return self._opening_for(window, self._mark_of(at), at)

    def _opening_for(self, window: CallingWindow, each: Marked, at: datetime) -> datetime | None:
        """The next opening, for what the clock has moved out of the window; None where the rule
        has ended by then or calls nobody on that day."""
        if not each.is_shifted or not self._was_inside(window, each, at):
            return None
        opening = window.next_opening(at, self.zones)
        if opening is None or (self.rule and is_called_off(opening, self.zone, self.rule)):
            return None
        return opening.astimezone(UTC)

    def _was_inside(self, window: CallingWindow, each: Marked, at: datetime) -> bool:
        """Whether the window were open, had the clocks that were changed with ours not been."""
        gap = to_wall(at, self.zone) - each.wall
        walls = (
            to_wall(at, zone) - (gap if _change(at - gap, at, zone) == gap else timedelta())
            for zone in self.zones
        )
        return all(window.shows_open(wall) for wall in walls)

    def _put_off(self, window: CallingWindow, each: Marked, opening: datetime) -> Marked:
        because = (
            f"{each.because}, and the time after it is outside the calling window, "
            f"{window.in_words()}: called when it opens"
        )
        return Marked(opening, each.wall, Mark.MOVED, because, is_shifted=True)

    def _met(self, each: Marked, opening: datetime) -> Marked:
        local = to_wall(opening, self.zone)
        because = f"{each.because}, and {local:%H:%M}, when the window opens, is called anyway"
        return Marked(None, each.wall, Mark.SKIPPED, because)

    def _mark_of(self, at: datetime) -> Marked:
        after = at - _INSTANT
        marked = marked_occurrences(self.anchor, self.zone, self.rule, after=after)
        return next(each for each in marked if each.at == at)

    def _changes(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Moments within a day after each of which the clock is changed."""
        while begin < end:
            following = begin + DAY
            if _offset(begin, self.zone) != _offset(following, self.zone):
                yield begin
            begin = following

    def _of_rule(self, start: datetime, end: datetime, limit: int) -> list[datetime]:
        return due_occurrences(self.anchor, self.zone, self.rule, start=start, end=end, limit=limit)


def _change(begin: datetime, end: datetime, zone: ZoneInfo) -> timedelta:
    """By how much a zone's clock is put forward between two moments."""
    return (to_wall(end, zone) - to_wall(begin, zone)) - (end - begin)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()
