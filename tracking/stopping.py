"""Calls that are not wanted any more: those at the carrier are stopped there."""

from django.utils import timezone

from polaris.states import move
from tracking.models import CallLog
from tracking.states import LIVE, CallStatus


def stop_calls(schedule_id: str, *, reason: str, stop: str = "") -> None:
    """Close what the carrier has refused for now, and ask for the others to be stopped.

    `stop` is "cancel" (unless answered), "hang_up", or empty to let live calls go on. The carrier
    itself is asked by tracking.following_up, for no transaction is held open across its network."""
    logs = CallLog.objects.filter(schedule_id=schedule_id)
    now = timezone.now()
    move(
        logs,
        to=CallStatus.CANCELLED,
        sources={CallStatus.DEFERRED},
        error_code="not_wanted",
        error_message=f"{reason} The carrier had not taken the call yet.",
        end_time=now,
        next_check_at=None,
    )
    if stop:
        placed = logs.filter(status__in=LIVE | {CallStatus.PENDING, CallStatus.UNKNOWN})
        placed.update(stop=stop, next_check_at=now)
