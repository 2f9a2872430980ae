"""Calls that are not wanted any more: those at the carrier are stopped there."""

from django.db.models import QuerySet
from django.utils import timezone

from polaris.audit.recording import Act, record
from polaris.database import atomic
from polaris.repeating import repeated
from polaris.states import move
from tracking.models import CallLog
from tracking.states import ON_THE_LINE, CallStatus


def stop_calls(schedule_id: str, *, stop: str, closes: str = "") -> None:
    """Have the calls of a schedule stopped: by "cancel" unless they are answered, or "hang_up".

    With a reason in `closes` one that the carrier has refused for now is not asked again either.
    The carrier itself is asked by tracking.following_up, for no transaction is held open across
    its network."""
    logs = CallLog.objects.filter(schedule_id=schedule_id)
    if closes:
        close_deferred(logs, closes)
    placed = logs.filter(status__in=ON_THE_LINE)
    placed.update(stop=stop, next_check_at=timezone.now())


@repeated
def close_deferred(logs: QuerySet[CallLog], reason: str) -> int:
    """Calls that the carrier has refused for now and that nobody wants any more; says how many."""
    with atomic():
        # Locked, so that what is moved is what is written down.
        rows = logs.filter(status=CallStatus.DEFERRED).select_for_update()
        wanted_no_more = list(rows.only("pk", "schedule_id", "status").order_by("pk"))
        record(*(_not_wanted(log, reason) for log in wanted_no_more))
        return _close(CallLog.objects.filter(pk__in=[log.pk for log in wanted_no_more]), reason)


def _not_wanted(log: CallLog, reason: str) -> Act:
    changed = {"status": (str(CallStatus.DEFERRED), str(CallStatus.CANCELLED))}
    return Act("call.not_wanted", "call", log.pk, log.schedule_id, changed, reason)


def _close(logs: QuerySet[CallLog], reason: str) -> int:
    return move(
        logs,
        to=CallStatus.CANCELLED,
        sources={CallStatus.DEFERRED},
        error_code="not_wanted",
        error_message=f"{reason} The carrier had not taken the call yet.",
        end_time=timezone.now(),
        next_check_at=None,
    )
