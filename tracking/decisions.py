"""What becomes of a claimed occurrence: it is dialled, waits, or is written down with its reason.

Decided from rows that the caller has locked; nothing is read or written here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings

from polaris.errors import Unreadable
from schedules.models import ActiveSchedule, Overlap
from schedules.states import DIALLABLE
from tracking.models import CallLog
from tracking.states import CallStatus

# A schedule that slept for months is caught up with in steps of this many occurrences.
MISSED_AT_ONCE = 500
# What waits for the end of a call is woken by it; this is for calls whose end nobody tells.
_RECHECK = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Dial:
    """Ask the carrier: with a new ledger row, or once more with one that it refused for now."""

    deferred: CallLog | None = None


@dataclass(frozen=True, slots=True)
class Miss:
    """Write occurrences down that are not dialled, each with its reason."""

    reasons: dict[datetime, str]
    code: str = "missed"


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Close an attempt that the carrier has refused until it was too late."""

    deferred: CallLog
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at `until`, or when the call with the log `on` has ended."""

    until: datetime
    reason: str
    on: str = ""
    is_due_then: bool = False
    """Whether its time itself has moved: grace and lateness count from then on."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """Its rule cannot be followed: a zone has vanished, a rule was edited by hand."""

    reason: str


@dataclass(frozen=True, slots=True)
class FoundOpen:
    """Another runner has opened this attempt; whether it dialled is not known."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The claim was taken from us: its schedule was paused, cancelled, changed or deleted."""


@dataclass(frozen=True, slots=True)
class HandBack:
    """Dialling was stopped after it was claimed: it waits with the others."""


Decision = HandBack | Dial | Miss | GiveUp | Wait | Impossible | FoundOpen | Lost


def decide(
    armed: ActiveSchedule,
    *,
    existing: CallLog | None,
    live: Iterable[CallLog],
    now: datetime,
    halt: str = "",
) -> Decision:
    """What becomes of `armed`, given the log of this very attempt and the calls that may be on
    the line to the same number or of the same schedule; `halt` says why all dialling is stopped,
    where it is."""
    schedule = armed.schedule
    if existing and existing.status != CallStatus.DEFERRED:
        return FoundOpen()
    if schedule.status not in DIALLABLE or armed.is_lease_over(now):
        return Lost()
    return _decide(armed, existing, live, now, halt)


def _decide(
    armed: ActiveSchedule,
    existing: CallLog | None,
    live: Iterable[CallLog],
    now: datetime,
    halt: str,
) -> Decision:
    if unread := _unreadable(armed):
        if not is_too_late(armed, now):
            return Wait(now + _RECHECK, unread)
        return GiveUp(existing, unread) if existing else Impossible(unread)
    try:
        reasons = _missed(armed, now)
    except Exception as error:
        return Impossible(f"Its rule cannot be followed: {error}")
    if reasons and halt:
        reasons = {
            each: f"{reason} All dialling was stopped: {halt}" for each, reason in reasons.items()
        }
    obstacle = Miss(reasons) if reasons else _obstacle(armed, live, now)
    if isinstance(obstacle, Miss) and existing:
        return GiveUp(existing, f"{existing.error_message} {obstacle.reasons[armed.occurrence]}")
    return obstacle or Dial(existing)


def _unreadable(armed: ActiveSchedule) -> str:
    """Why its number cannot be read, where it cannot; this opens it."""
    try:
        return "" if armed.schedule.phone else "It has no number any more."
    except Unreadable as error:
        return f"Its number cannot be read. {error.issue}"


def _obstacle(armed: ActiveSchedule, live: Iterable[CallLog], now: datetime) -> Decision | None:
    return _closed_window(armed, now) or _busy_line(armed, live, now)


def _closed_window(armed: ActiveSchedule, now: datetime) -> Decision | None:
    """Outside its calling window nothing is dialled: what was late is missed; what was moved
    there, by a change of the clock or of the window, waits for the next opening."""
    schedule = armed.schedule
    window, zones = schedule.window, schedule.window_zones
    moment = max(now, armed.due_at)
    if window is None or window.is_open(moment, zones):
        return None
    outside = f"It is outside the calling window, {window.in_words()}."
    opening = window.next_opening(moment, zones)
    if opening is None or window.is_open(armed.due_at, zones):
        return Miss(
            {armed.occurrence: f"When a runner could dial it, it was late. {outside}"}, "window"
        )
    if schedule.is_recurring and armed.origin == ActiveSchedule.Origin.RULE:
        following = armed.timetable.next(armed.occurrence)
        if following is not None and following <= opening:
            return Miss({armed.occurrence: f"{outside} The next call comes first."}, "window")
    return Wait(opening, outside, is_due_then=True)


def _busy_line(armed: ActiveSchedule, live: Iterable[CallLog], now: datetime) -> Decision | None:
    """One call of a schedule and one to a number at a time."""
    schedule = armed.schedule
    for log in live:
        if log.schedule_id == schedule.pk:
            by_rule = armed.origin == ActiveSchedule.Origin.RULE
            if by_rule and schedule.overlap == Overlap.SKIP:
                return Miss({armed.occurrence: _overlapped(log)}, code="overlap")
            return Wait(now + _RECHECK, "The last call of its schedule is not over.", on=log.pk)
    for log in live:
        if log.phone_lookup == schedule.phone_lookup:
            return Wait(now + _RECHECK, "Another call to its number is not over.", on=log.pk)
    return None


def is_too_late(armed: ActiveSchedule, now: datetime) -> bool:
    """Whether its grace time has passed."""
    return now - armed.due_at > timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)


def _missed(armed: ActiveSchedule, now: datetime) -> dict[datetime, str]:
    """The occurrences up to `now` that are not dialled, each with its reason.

    Of several due ones only the last is dialled, and only within the grace time."""
    due = _due(armed, now)
    grace = timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)
    missed = {earlier: _overtaken(armed, later) for earlier, later in pairwise(due)}
    late = now - (armed.due_at if due == [armed.occurrence] else due[-1])
    if late > grace or len(due) == MISSED_AT_ONCE:
        missed[due[-1]] = _too_late(armed, late, grace)
    return missed


def _due(armed: ActiveSchedule, now: datetime) -> list[datetime]:
    schedule = armed.schedule
    if armed.origin != ActiveSchedule.Origin.RULE or not schedule.is_recurring:
        return [armed.occurrence]
    due = armed.timetable.due(start=armed.occurrence, end=now, limit=MISSED_AT_ONCE)
    return due or [armed.occurrence]


def _too_late(armed: ActiveSchedule, late: timedelta, grace: timedelta) -> str:
    waited = f" It waited: {armed.waits_for}" if armed.waits_for else ""
    return (
        f"Its time passed {_in_words(late)} before a runner could dial it, more than the "
        f"grace time of {_in_words(grace)}.{waited}"
    )


def _overtaken(armed: ActiveSchedule, later: datetime) -> str:
    following = f"before the next one, {later:%Y-%m-%d %H:%M:%S} UTC, was due."
    if armed.waits_for:
        return f"What it waited for was not over {following} It waited: {armed.waits_for}"
    return f"No runner dialled it {following}"


def _overlapped(log: CallLog) -> str:
    return (
        f"The call of {log.occurrence:%Y-%m-%d %H:%M:%S} UTC was not over ({log.pk}), and the "
        "schedule skips what overlaps."
    )


def _in_words(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
