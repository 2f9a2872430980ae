"""Whether an occurrence is attempted again after its call has ended, by its schedule's policy."""

from datetime import datetime

from django.utils import timezone

from schedules import arming
from schedules.models import CallSchedule
from schedules.states import FINAL, ScheduleStatus
from tracking.models import CallLog
from tracking.states import CallStatus

_OUTCOMES = {
    CallStatus.BUSY: "busy",
    CallStatus.NO_ANSWER: "no_answer",
    CallStatus.FAILED: "failed",
}


def retry(log: CallLog, schedule: CallSchedule) -> None:
    """Arm the next attempt of a call that has just ended, where the schedule wants one.

    `log` is in its final state; the caller holds the schedule's lock, and settles afterwards."""
    if schedule.status in FINAL | {ScheduleStatus.PAUSED}:
        return
    if log.occurrence is None or not _wants_another(schedule, _outcome(log)):
        return
    due_at = due_again(
        schedule,
        occurrence=log.occurrence,
        outcome=_outcome(log),
        attempts=_attempts_made(log),
        ended_at=timezone.now(),
    )
    if due_at is None:
        return
    arming.arm_retry(
        schedule.pk,
        occurrence=log.occurrence,
        attempt=log.attempt + 1,
        due_at=due_at,
    )


def due_again(
    schedule: CallSchedule, *, occurrence: datetime, outcome: str, attempts: int, ended_at: datetime
) -> datetime | None:
    """When the next attempt of an occurrence is due, `attempts` of which have been made; None
    where there is none. `outcome` is in the words of a retry policy."""
    policy = schedule.retries
    delay = policy.delay_after(attempts) if policy and outcome in policy.on else None
    if delay is None:
        return None
    due_at = _in_window(schedule, ended_at + delay)
    if due_at is None or _is_overtaken(schedule, occurrence, due_at):
        return None
    return due_at


def _wants_another(schedule: CallSchedule, outcome: str) -> bool:
    policy = schedule.retries
    return policy is not None and outcome in policy.on


def _outcome(log: CallLog) -> str:
    if log.status == CallStatus.COMPLETED:
        by_machine = str(log.metadata.get("answered_by", "")).startswith("machine")
        return "machine" if by_machine else ""
    return _OUTCOMES.get(CallStatus(log.status), "")


def _attempts_made(log: CallLog) -> int:
    """Attempts that the carrier took; one that was never placed is no attempt."""
    made = CallLog.objects.filter(schedule_id=log.schedule_id, occurrence__in=[log.occurrence])
    return made.exclude(error_code="not_placed").count()


def _in_window(schedule: CallSchedule, moment: datetime) -> datetime | None:
    window = schedule.window
    return window.next_opening(moment, schedule.window_zones) if window else moment


def _is_overtaken(schedule: CallSchedule, occurrence: datetime, due_at: datetime) -> bool:
    """The next occurrence goes before a further attempt of this one."""
    if not schedule.is_recurring:
        return False
    following = arming.upcoming(schedule, after=occurrence)
    return following is not None and following <= due_at
