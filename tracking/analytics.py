"""Figures about calls, computed by the database."""

from typing import TypedDict

from django.db.models import Count, Q, QuerySet, Sum

from tracking.models import CallLog
from tracking.states import UNSETTLED, CallStatus


class Statistics(TypedDict):
    """The contract's figures: durations in seconds, the rate in per cent of all calls."""

    total_calls: int
    completed_calls: int
    failed_calls: int
    pending_calls: int
    success_rate: float
    average_duration: int
    total_duration: int


def statistics(logs: QuerySet[CallLog]) -> Statistics:
    """Every log counts once: completed, failed (missed ones too), or pending (unknown ones too)."""
    completed = Q(status=CallStatus.COMPLETED)
    # Of nothing but what the indexes hold, and without groups, which SQLite would have to sort.
    counted = logs.order_by().aggregate(
        total=Count("*"),
        completed=Count("status", filter=completed),
        pending=Count("status", filter=Q(status__in=UNSETTLED)),
        talked=Sum("duration", filter=completed),
    )
    total, talked = counted["total"], counted["talked"] or 0
    return Statistics(
        total_calls=total,
        completed_calls=counted["completed"],
        failed_calls=total - counted["completed"] - counted["pending"],
        pending_calls=counted["pending"],
        success_rate=round(100 * counted["completed"] / total, 1) if total else 0.0,
        average_duration=round(talked / counted["completed"]) if counted["completed"] else 0,
        total_duration=talked,
    )
