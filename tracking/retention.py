"""What of calls and schedules may be forgotten when it is old: never what is live or waits."""

from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from schedules.models import ActiveSchedule, CallSchedule, Pause
from schedules.states import FINAL as SCHEDULES_THAT_ARE_OVER
from tracking.models import CallLog, Notification
from tracking.states import FINAL, UNSETTLED


def logs(before: datetime) -> list[QuerySet[Any]]:
    """Calls that are over, and the pauses that explain why others were not made.

    The log of an occurrence that is armed stays: it keeps that from being dialled again."""
    armed = ActiveSchedule.objects.filter(
        schedule_id=OuterRef("schedule_id"), occurrence=OuterRef("occurrence")
    )
    over = CallLog.objects.filter(status__in=FINAL, timestamp__lt=before, last_updated__lt=before)
    return [over.exclude(Exists(armed)), Pause.objects.filter(ended_at__lt=before)]


def schedules(before: datetime) -> list[QuerySet[Any]]:
    """Schedules that are over, with nothing armed and no open call; their logs stay."""
    armed = ActiveSchedule.objects.filter(schedule_id=OuterRef("pk"))
    open_calls = CallLog.objects.filter(schedule_id=OuterRef("pk"), status__in=UNSETTLED)
    over = CallSchedule.objects.filter(status__in=SCHEDULES_THAT_ARE_OVER, last_updated__lt=before)
    return [over.exclude(Exists(armed)).exclude(Exists(open_calls))]


def notifications(before: datetime) -> list[QuerySet[Any]]:
    """Messages that were delivered or given up."""
    old = Notification.objects.filter(last_updated__lt=before)
    return [old.exclude(status=Notification.Status.WAITING)]
