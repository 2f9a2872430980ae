"""How many calls are under way, for those who may begin no more than so many."""

from datetime import datetime

from schedules.models import ActiveSchedule
from schedules.states import ArmedStatus
from tracking.models import CallLog


def calls_in_hand(moment: datetime) -> int:
    """Calls that are on the line, may be, or are claimed and about to be dialled."""
    held = ActiveSchedule.objects.claimed(moment).filter(status=ArmedStatus.PENDING)
    # First these: one whose ledger is opened between the two looks is counted twice, not never.
    claimed = held.count()
    return claimed + CallLog.objects.on_the_line().count()
