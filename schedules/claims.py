"""Claims: how runners share what is due, so that each occurrence is held by one at a time.

A claim is a lease. It ends when its occurrence has been dealt with or given back, and by itself
when the runner that holds it has died.
"""

from datetime import datetime, timedelta

from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from polaris.database import atomic, can_skip_locked
from polaris.ids import new_id
from polaris.states import move
from schedules.arming import RELEASED
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import ArmedStatus, ScheduleStatus


def claim_due(
    *, runner_id: str, moment: datetime, limit: int, lease: timedelta
) -> list[ActiveSchedule]:
    """Claim at most `limit` occurrences due at `moment`, earliest first.

    No other runner gets them before `lease` has passed."""
    candidates = ActiveSchedule.objects.due(moment).in_order().values_list("pk", flat=True)
    ticket = new_id("lease")
    with atomic():
        if can_skip_locked():
            candidates = candidates.select_for_update(skip_locked=True)
        chosen = list(candidates[:limit])
        if not chosen:
            return []
        # The condition is asked again: elsewhere another runner may have chosen the same rows.
        ActiveSchedule.objects.filter(pk__in=chosen).due(moment).update(
            status=ArmedStatus.PENDING,
            lease=ticket,
            leased_until=moment + lease,
            runner_id=runner_id,
            last_updated=timezone.now(),
        )
    claimed = list(
        ActiveSchedule.objects.filter(lease=ticket).in_order().select_related("schedule")
    )
    try:
        # After the claim's own transaction, so that locks are always taken in the same order.
        _tell_schedules(claimed)
    except DatabaseError:
        _release(ActiveSchedule.objects.filter(lease=ticket))
        raise
    return claimed


def give_back(*, runner_id: str) -> int:
    """Return what a stopping runner holds but has not begun to dial; says how many."""
    held = ActiveSchedule.objects.filter(runner_id=runner_id, status=ArmedStatus.PENDING)
    schedules = list(held.values_list("schedule_id", flat=True))
    returned = _release(held)
    move(
        CallSchedule.objects.filter(pk__in=schedules),
        to=ScheduleStatus.SCHEDULED,
        sources={ScheduleStatus.PENDING},
    )
    return returned


def _release(held: QuerySet[ActiveSchedule]) -> int:
    return held.update(status=ArmedStatus.SCHEDULED, last_updated=timezone.now(), **RELEASED)


def _tell_schedules(claimed: list[ActiveSchedule]) -> None:
    if claimed:
        move(
            CallSchedule.objects.filter(pk__in=[armed.schedule_id for armed in claimed]),
            to=ScheduleStatus.PENDING,
            sources={ScheduleStatus.SCHEDULED},
        )
