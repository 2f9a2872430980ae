"""What waits: calls that should have been dialled by now and are in no runner's hands."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from schedules.models import ActiveSchedule


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait, how many of them were refused for now, how many wait for nothing of their own
    (a line, their hours), and how late the first of all is."""

    count: int
    deferred: int
    held_up: int
    late: timedelta


def what_waits(moment: datetime) -> Waiting:
    """Counted by the database, in one query."""
    counted = ActiveSchedule.objects.waiting(moment).aggregate(
        count=Count("pk"),
        deferred=Count("pk", filter=Q(asked__gt=0)),
        held_up=Count("pk", filter=Q(waits_for="")),
        oldest=Min("due_at"),
    )
    late = moment - (counted.pop("oldest") or moment)
    return Waiting(**counted, late=late)
