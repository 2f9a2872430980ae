"""Housekeeping: what the engine puts right by itself. Every job may be repeated at any time."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from polaris.database import atomic
from polaris.repeating import repeated
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import IN_HAND
from tracking import ledger
from tracking.models import CallLog
from tracking.settlement import settle
from tracking.states import CallStatus
from tracking.stopping import close_deferred

logger = logging.getLogger(__name__)

_AT_ONCE = 200


def recover() -> None:
    """Close what a dead runner left open: attempts without an answer, schedules unsettled."""
    since = timezone.now() - settings.SCHEDULER_LEASE
    attempts = CallLog.objects.filter(status=CallStatus.PENDING, last_updated__lt=since)
    for log in attempts.order_by("last_updated")[:_AT_ONCE]:
        _try(_recover_attempt, log)
    _close_orphans(since)
    stale = CallSchedule.objects.filter(status__in=IN_HAND, last_updated__lt=since)
    for schedule in stale.order_by("last_updated")[:_AT_ONCE]:
        _try(_settle_again, schedule)


def _close_orphans(since: datetime) -> None:
    """Calls that were refused for now, and whose armed row a pause or a change has moved on."""
    deferred = CallLog.objects.filter(status=CallStatus.DEFERRED, last_updated__lt=since)
    for log in deferred.order_by("last_updated")[:_AT_ONCE]:
        armed = ActiveSchedule.objects.filter(
            schedule=log.schedule_id, occurrence__in=[log.occurrence], attempt=log.attempt
        )
        if not armed.exists():
            close_deferred(CallLog.objects.filter(pk=log.pk), "Its schedule was paused or changed.")


def _try(job: Callable[[Any], object], row: Any) -> None:
    """One row that cannot be put right does not keep the others from it."""
    try:
        job(row)
    except Exception:
        logger.exception("housekeeping failed at %r", row)


@repeated
def _settle_again(schedule: CallSchedule) -> None:
    # Looked at: the next turn begins with those that were not.
    CallSchedule.objects.filter(pk=schedule.pk).update(last_updated=timezone.now())
    with atomic():
        settle(schedule.pk)


@repeated
def _recover_attempt(log: CallLog) -> None:
    held = ActiveSchedule.objects.filter(
        schedule=log.schedule_id, attempt=log.attempt, occurrence__in=[log.occurrence]
    )
    if held.exclude(next_execution=None).exists():
        return  # its claim runs out, and whoever takes it over closes the attempt
    with atomic():
        if ledger.abandon(log) and log.schedule_id:
            settle(log.schedule_id)
