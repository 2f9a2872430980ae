"""Why was I (not) called? Every occurrence of a schedule in a span of time, with its reason.

What the ledger says comes first, then what is armed, then what the rule says as it is now. Where
nothing was written down, the answer says what is known and what is not.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain

from django.conf import settings

from polaris.admin_words import moment_in_words
from polaris.errors import Unreadable
from polaris.retention import oldest_kept
from schedules import gate
from schedules.localtime import resolve, to_wall
from schedules.models import ActiveSchedule, CallSchedule, Pause
from schedules.preview import sentence
from schedules.recurrence import Marked
from schedules.states import FINAL, ArmedStatus, ScheduleStatus
from schedules.timetable import Timetable
from tracking.attempts_in_words import attempts_in_words
from tracking.held_up import what_holds_up
from tracking.models import CallLog
from tracking.states import CallStatus

MOST_OCCURRENCES = 50_000  # a call of every minute for a month

_SKIPPED_AT_MOST = 15  # where so many calls are asked for, and not those of a span

_INSTANT = timedelta.resolution
_SPANS = [timedelta(days=days) for days in (2, 14, 90, 800, 8000)]

# Outcomes of occurrences that have no log; those that have one are what its status is.
WAITING, PLANNED, SKIPPED = "waiting", "planned", "skipped"
PAUSED, CANCELLED, CHANGED, UNKNOWN = "paused", "cancelled", "changed", "unknown"
OUTCOMES = sorted({WAITING, PLANNED, SKIPPED, PAUSED, CHANGED, *CallStatus.values})


class TooManyOccurrences(Exception):
    """There are more occurrences in that time than can be listed at once."""


@dataclass(frozen=True, slots=True)
class Slot:
    """An occurrence before it is explained: where it stands in time, and on the wall."""

    at: datetime
    wall: datetime
    is_skipped: bool = False
    because: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """An occurrence, what became of it and why. `occurrence` is None where it was skipped; `local`
    is on the schedule's clock, naive where it was skipped."""

    occurrence: datetime | None
    local: datetime
    outcome: str
    reason: str
    attempts: list[CallLog]


def slots_between(schedule: CallSchedule, start: datetime, end: datetime) -> list[Slot]:
    """What the rule, the ledger and what is armed have from start to end, in order of time.

    Of the rule, nothing from before the schedule was created. Raises TooManyOccurrences."""
    inside = (start, end)
    logged = CallLog.objects.filter(schedule_id=schedule.pk, occurrence__range=inside)
    armed = ActiveSchedule.objects.filter(schedule=schedule, occurrence__range=inside)
    extra = chain(
        logged.order_by("occurrence").values_list("occurrence", flat=True)[:MOST_OCCURRENCES],
        armed.values_list("occurrence", flat=True),
    )
    by_rule = _of_rule(schedule, max(start, schedule.created_at), end, most=MOST_OCCURRENCES)
    return _united(schedule, by_rule, extra)


def around(schedule: CallSchedule, *, now: datetime, before: int, after: int) -> list[Slot]:
    """The last so many up to now, and the next so many, in order of time."""
    return [*_latest(schedule, now, before), *_next(schedule, now, after)]


def explain(schedule: CallSchedule, slots: list[Slot], *, now: datetime) -> list[Explained]:
    """What became of each, in a fixed number of queries."""
    facts = _Facts(schedule, slots, now)
    return [facts.explain(slot) for slot in slots]


def _latest(schedule: CallSchedule, now: datetime, number: int) -> list[Slot]:
    logged = CallLog.objects.filter(schedule_id=schedule.pk, occurrence__lte=now)
    armed = ActiveSchedule.objects.filter(schedule=schedule, occurrence__lte=now)
    known = {
        *logged.order_by("-occurrence").values_list("occurrence", flat=True)[: number * 10],
        *armed.values_list("occurrence", flat=True),
    }
    found: list[Slot] = []
    for span in _SPANS:
        start = max(now - span, schedule.created_at)
        by_rule = _of_rule(schedule, start, now, most=MOST_OCCURRENCES)
        found = _united(schedule, by_rule, [each for each in known if each is not None])
        if len([slot for slot in found if slot.at >= start]) >= number or start > now - span:
            break
    return found[-number:]


def _next(schedule: CallSchedule, now: datetime, number: int) -> list[Slot]:
    coming = ActiveSchedule.objects.filter(schedule=schedule, occurrence__gt=now)
    by_rule = []
    if schedule.status not in FINAL:
        by_rule = _of_rule(schedule, now + _INSTANT, None, most=number)
        while len(by_rule) > number and by_rule[-1].is_skipped:
            by_rule.pop()
    return _united(schedule, by_rule, coming.values_list("occurrence", flat=True))


def _of_rule(
    schedule: CallSchedule, start: datetime, end: datetime | None, *, most: int
) -> list[Slot]:
    """From start to end; without an end, so many calls and what is skipped among them.

    None of a rule that cannot be followed."""
    found: list[Slot] = []
    calls = 0
    try:
        timetable = schedule.timetable
        for each in timetable.marked(start - _INSTANT):
            slot = _slot(each, timetable)
            if end is not None and slot.at > end:
                break
            found.append(slot)
            calls += each.at is not None
            if end is None and (calls == most or len(found) == most + _SKIPPED_AT_MOST):
                break
            if len(found) > most and end is not None:
                raise TooManyOccurrences
    except (ValueError, OverflowError, Unreadable):
        return found
    return found


def _slot(each: Marked, timetable: Timetable) -> Slot:
    at = each.at or resolve(each.wall, timetable.zone) or each.wall.replace(tzinfo=UTC)
    wall = each.wall if each.at is None else to_wall(at, timetable.zone)
    return Slot(at, wall, is_skipped=each.at is None, because=sentence(each.because))


def _united(
    schedule: CallSchedule, by_rule: list[Slot], extra: Iterable[datetime | None]
) -> list[Slot]:
    """Those of the rule, and those that are known without it, each once."""
    slots = {slot.at: slot for slot in by_rule}
    for at in extra:
        if at is not None and (at not in slots or slots[at].is_skipped):
            slots[at] = Slot(at, to_wall(at, schedule.zone))
    return [slots[at] for at in sorted(slots)]


class _Facts:
    """What is known of a schedule around some occurrences."""

    def __init__(self, schedule: CallSchedule, slots: list[Slot], now: datetime) -> None:
        self.schedule = schedule
        self.now = now
        span = (slots[0].at, slots[-1].at) if slots else (now, now)
        # Before the logs: what is armed now has a log by the time that it is armed no more.
        armed = ActiveSchedule.objects.filter(schedule=schedule, occurrence__range=span)
        self.armed = {row.occurrence: row for row in armed.order_by("attempt")}
        self.logs = defaultdict[datetime, list[CallLog]](list)
        logs = CallLog.objects.filter(schedule_id=schedule.pk, occurrence__range=span)
        for log in logs.order_by("occurrence", "attempt"):
            if log.occurrence:
                self.logs[log.occurrence].append(log)
        self.pauses = list(Pause.objects.filter(schedule=schedule))

    def explain(self, slot: Slot) -> Explained:
        logs = self.logs.get(slot.at, [])
        outcome, reason = self._outcome(slot, logs)
        zone = self.schedule.zone
        is_skipped = slot.is_skipped and outcome == SKIPPED
        local = slot.wall if is_skipped else slot.at.astimezone(zone)
        return Explained(None if is_skipped else slot.at, local, outcome, reason, logs)

    def _outcome(self, slot: Slot, logs: list[CallLog]) -> tuple[str, str]:
        armed = self.armed.get(slot.at)
        if logs:
            return self._attempted(logs, armed)
        if armed:
            return self._armed(armed, slot)
        if slot.is_skipped:
            return SKIPPED, slot.because
        if slot.at > self.now:
            return self._to_come(slot)
        return self._forgotten(slot) or self._not_called(slot)

    # -- what the ledger says --------------------------------------------------------------------
    def _attempted(self, logs: list[CallLog], armed: ActiveSchedule | None) -> tuple[str, str]:
        last, told = logs[-1], attempts_in_words(logs)
        if armed and armed.attempt > last.attempt and last.is_final:
            _, waits = self._armed(armed, None)
            return WAITING, f"{told} {waits}"
        if armed and last.status == CallStatus.DEFERRED and armed.next_execution:
            return last.status, f"{told} The carrier is asked again{self._at(armed)}."
        return last.status, told

    # -- what is armed ---------------------------------------------------------------------------
    def _armed(self, armed: ActiveSchedule, slot: Slot | None) -> tuple[str, str]:
        asked = "An operator asked for it. " if armed.origin == armed.Origin.OPERATOR else ""
        nth = f"Attempt {armed.attempt}" if armed.attempt > 1 else "It"
        if armed.status == ArmedStatus.PAUSED or armed.next_execution is None:
            return PAUSED, f"{asked}{self._paused()}"
        if armed.status != ArmedStatus.SCHEDULED and not armed.is_lease_over(self.now):
            return WAITING, f"{asked}{nth} is being dialled."
        if armed.waits_for:
            return WAITING, f"{asked}{nth} is due and waits. {armed.waits_for}"
        if armed.next_execution > self.now:
            outcome = PLANNED if slot else WAITING
            return outcome, f"{asked}{nth} is due{self._at(armed)}.{_moved(slot)}"
        return WAITING, f"{asked}{nth} is due. {self._held_up}"

    def _at(self, armed: ActiveSchedule) -> str:
        return f" on {self._when(armed.next_execution or armed.due_at)}"

    @cached_property
    def _held_up(self) -> str:
        held_up = what_holds_up(gate.current(), now=self.now, zone=self.schedule.zone)
        return held_up or "No runner has taken it yet."

    def _paused(self) -> str:
        since = next((each.began_at for each in self.pauses if each.ended_at is None), None)
        when = f" since {self._when(since)}" if since else ""
        why = f" {self.schedule.status_reason}" if self.schedule.status_reason else ""
        return f"The schedule is paused{when}; what comes due meanwhile is not dialled.{why}"

    # -- what the rule says ----------------------------------------------------------------------
    def _to_come(self, slot: Slot) -> tuple[str, str]:
        schedule = self.schedule
        if schedule.status == ScheduleStatus.CANCELLED:
            return CANCELLED, self._cancelled()
        if schedule.status in FINAL or not schedule.is_recurring:
            return CHANGED, self._brought_forward()
        if schedule.status == ScheduleStatus.PAUSED:
            return PAUSED, self._paused()
        return PLANNED, f"Its rule names it.{_moved(slot)}"

    def _forgotten(self, slot: Slot) -> tuple[str, str] | None:
        days = settings.RETAIN_LOGS_DAYS
        kept_since = oldest_kept(days)
        if kept_since is None or slot.at >= kept_since:
            return None
        return UNKNOWN, f"What was written down more than {days} days ago has been deleted."

    def _not_called(self, slot: Slot) -> tuple[str, str]:
        """Its time has passed, and there is neither a log nor an armed row of it."""
        schedule = self.schedule
        if (pause := self._pause_of(slot.at)) is not None:
            end = f" to {self._when(pause.ended_at)}" if pause.ended_at else ""
            return PAUSED, f"The schedule was paused from {self._when(pause.began_at)}{end}."
        is_after_the_last_change = slot.at >= schedule.last_updated - _grace()
        if schedule.status == ScheduleStatus.PAUSED and is_after_the_last_change:
            return PAUSED, self._paused()
        if schedule.status in FINAL and is_after_the_last_change:
            if schedule.status == ScheduleStatus.CANCELLED:
                return CANCELLED, self._cancelled()
            return CHANGED, self._brought_forward()
        if schedule.revision > 1:
            return CHANGED, (
                "Nothing was written down for this time. The schedule was changed "
                f"{_times(schedule.revision - 1)} since it was created on "
                f"{self._when(schedule.created_at)}, so its plan may have been another one then; "
                "when it was changed is not kept."
            )
        return UNKNOWN, (
            "Nothing was written down for this time, and nothing that is kept says why. The "
            f"schedule was touched last on {self._when(schedule.last_updated)}."
        )

    def _pause_of(self, at: datetime) -> Pause | None:
        """The pause in which it fell, or that came while it was due and not dialled yet."""
        for pause in self.pauses:
            ended_at = pause.ended_at or self.now + _grace()
            if pause.began_at - _grace() <= at < ended_at:
                return pause
        return None

    def _cancelled(self) -> str:
        why = f" {self.schedule.status_reason}" if self.schedule.status_reason else ""
        return f"The schedule was cancelled on {self._when(self.schedule.last_updated)}.{why}"

    def _brought_forward(self) -> str:
        schedule = self.schedule
        if schedule.status in FINAL:
            when = self._when(schedule.last_updated)
            return f"The schedule has been {schedule.status} since {when}: nothing follows."
        return "Its call was brought forward: it is, or was, made at another time."

    def _when(self, moment: datetime) -> str:
        return moment_in_words(moment, self.schedule.zone)


def _moved(slot: Slot | None) -> str:
    return f" {slot.because}" if slot and slot.because else ""


def _grace() -> timedelta:
    return timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
