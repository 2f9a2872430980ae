"""Settles a schedule: what it becomes once nothing of it is at the carrier any more."""

from typing import Any

from django.utils import timezone

from polaris.audit.recording import Act, record
from polaris.inserting import change
from polaris.reading import read
from schedules.models import ActiveSchedule, CallSchedule
from schedules.services import announce
from schedules.states import DIALLABLE, FINAL, IN_HAND, ArmedStatus, ScheduleStatus
from tracking.models import CallLog
from tracking.states import LIVE, CallStatus

# At the carrier, or asked for: the schedule waits for the end of it.
_OPEN = LIVE | {CallStatus.PENDING}


def hold(schedule_id: str) -> CallSchedule | None:
    """A schedule with its lock: nobody opens another attempt of it until the transaction ends."""
    return read(CallSchedule, schedule_id, with_lock=True)


def settle(schedule_id: str) -> None:
    """Move a schedule on, from its rows alone: safe to repeat, and to call from either side of a
    race between the carrier's answer and its webhooks (both write the log's row first)."""
    schedule = hold(schedule_id)
    if schedule is not None:
        settle_held(schedule)


def settle_held(schedule: CallSchedule, **more: Any) -> None:
    """As `settle`, for a schedule that `hold` has given in this transaction. `more` are columns
    that are written with it, whether or not it moves on."""
    before, changes = schedule.status, _changes(schedule)
    if changes:
        more |= changes | {"last_updated": timezone.now()}
    if not more or not change(schedule, more, status=before):
        return
    for name, value in more.items():
        setattr(schedule, name, value)
    if "status" in changes and schedule.status in FINAL:
        _tell_of_end(schedule, before)


def _changes(schedule: CallSchedule) -> dict[str, Any]:
    """What is to be written of it. Looked for under its lock, so that it is still so when it is."""
    if schedule.status not in DIALLABLE:
        return {}
    logs = CallLog.objects.filter(schedule_id=schedule.pk)
    if logs.filter(status__in=_OPEN).exists():
        return {}
    armed = ActiveSchedule.objects.filter(schedule_id=schedule.pk).order_by()
    statuses = set(armed.values_list("status", flat=True))
    if ArmedStatus.RUNNING in statuses:
        return {}  # the runner that holds it settles when it has the carrier's answer
    if statuses:
        return {"status": ScheduleStatus.SCHEDULED} if schedule.status in IN_HAND else {}
    latest = logs.order_by("-occurrence", "-attempt").values_list("status", "error_message")
    last = latest.first()
    return _end(schedule, *last) if last else {}


def _end(schedule: CallSchedule, status: str, message: str) -> dict[str, Any]:
    """Of a schedule of which nothing is armed, and whose last call is in that state."""
    if status == CallStatus.UNKNOWN:
        return {"status_reason": message} if schedule.status in IN_HAND else {}
    if schedule.is_recurring or status == CallStatus.COMPLETED:
        return {"status": ScheduleStatus.COMPLETED, "status_reason": ""}
    return {"status": ScheduleStatus.FAILED, "status_reason": message}


def _tell_of_end(schedule: CallSchedule, before: str) -> None:
    changed = {"status": (str(before), str(schedule.status))}
    reason = schedule.status_reason
    record(Act("schedule.settled", "schedule", schedule.pk, schedule.pk, changed, reason))
    announce(f"schedule.{schedule.status}", schedule, reason=reason)
