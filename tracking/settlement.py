"""Settles a schedule: what it becomes once nothing of it is at the carrier any more."""

from django.db.models import F
from django.utils import timezone

from polaris.audit.recording import Act, record
from polaris.database import touch
from polaris.states import move
from schedules.models import ActiveSchedule, CallSchedule
from schedules.services import announce
from schedules.states import DIALLABLE, IN_HAND, ArmedStatus, ScheduleStatus
from tracking.models import CallLog
from tracking.states import LIVE, CallStatus


def settle(schedule_id: str) -> None:
    """Move a schedule on, from its rows alone: safe to repeat, and to call from either side of a
    race between the carrier's answer and its webhooks (both write the log's row first)."""
    # Takes the schedule's lock: nobody opens another attempt between the look and the move.
    touch(CallSchedule.objects.filter(pk=schedule_id), status=F("status"))
    logs = CallLog.objects.filter(schedule_id=schedule_id)
    if logs.filter(status__in=LIVE | {CallStatus.PENDING}).exists():
        return
    armed = ActiveSchedule.objects.filter(schedule_id=schedule_id)
    statuses = set(armed.values_list("status", flat=True))
    if ArmedStatus.RUNNING in statuses:
        return  # the runner that holds it settles when it has the carrier's answer
    if statuses:
        schedule = CallSchedule.objects.filter(pk=schedule_id)
        move(schedule, to=ScheduleStatus.SCHEDULED, sources=IN_HAND)
    else:
        _finish(schedule_id, logs.order_by("-occurrence", "-attempt").first())


def _finish(schedule_id: str, last: CallLog | None) -> None:
    schedule = CallSchedule.objects.filter(pk=schedule_id).first()
    if schedule is None or last is None:
        return
    if last.status == CallStatus.UNKNOWN:
        CallSchedule.objects.filter(pk=schedule_id, status__in=IN_HAND).update(
            status_reason=last.error_message, last_updated=timezone.now()
        )
        return
    reached = schedule.is_recurring or last.status == CallStatus.COMPLETED
    to = ScheduleStatus.COMPLETED if reached else ScheduleStatus.FAILED
    reason = "" if reached else last.error_message
    rows = CallSchedule.objects.filter(pk=schedule_id)
    if move(rows, to=to, sources=DIALLABLE, status_reason=reason):
        changed = {"status": (str(schedule.status), str(to))}
        record(Act("schedule.settled", "schedule", schedule_id, schedule_id, changed, reason))
        schedule.refresh_from_db()
        announce(f"schedule.{to}", schedule, reason=reason)
