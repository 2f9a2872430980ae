"""What waits: calls that should have been dialled by now and are in no runner's hands."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from schedules.models import ActiveSchedule


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait, how many of them were refused for now, and how late the first of them is."""

    count: int
    deferred: int
    late: timedelta


def what_waits(moment: datetime) -> Waiting:
    """Counted by the database, in one query."""
    counted = ActiveSchedule.objects.waiting(moment).aggregate(
        count=Count("pk"), deferred=Count("pk", filter=Q(asked__gt=0)), oldest=Min("due_at")
    )
    oldest = counted["oldest"] or moment
    return Waiting(counted["count"], counted["deferred"], moment - oldest)
