"""Erases a person from the calls and the outbox."""

from collections.abc import Collection

from django.utils import timezone

from polaris.errors import Unreadable
from polaris.privacy.erasure import Erased
from schedules.erasure import forget_history
from schedules.models import CallSchedule
from tracking.by_hand import BY_HAND
from tracking.models import CallLog, Notification
from tracking.states import FINAL, ON_THE_LINE

_BATCH = 500


def erase(number: str, erased: Erased, *, hang_up: bool, dry_run: bool) -> None:
    """Take the person out of the logs of calls that are over; what is live is said, and stays."""
    logs = CallLog.objects.of_number(number)
    keys = set(logs.values_list("pk", flat=True))
    schedules = set(CallSchedule.objects.of_number(number).values_list("pk", flat=True))
    told = _messages(keys | schedules)
    live = logs.filter(status__in=ON_THE_LINE, attempt__gt=0).count()
    if dry_run:
        erased.add("call logs", len(keys))
        erased.add("notifications", len(told))
        erased.add("calls on the line now", live)
        return
    if hang_up:
        logs.filter(status__in=ON_THE_LINE).update(
            stop=CallLog.Stop.HANG_UP, next_check_at=timezone.now()
        )
    Notification.objects.filter(pk__in=told).delete()
    erased.add("notifications", len(told))
    over = logs.filter(status__in=FINAL)
    over.filter(error_code=BY_HAND).update(error_message="An operator has settled it by hand.")
    erased.add("call logs", over.update(phone="", notes="", user_profile_id=""))
    forget_history(CallLog, list(keys))
    left = logs.count()
    if left:
        erased.left.append(f"{left:,} calls are not over yet; their logs stay until they are.")


def _messages(keys: Collection[str]) -> list[str]:
    """The notifications that tell of these logs or schedules. All are opened: it takes a while."""
    found = []
    for message in Notification.objects.order_by().iterator(_BATCH):
        try:
            told = message.payload
        except Unreadable:
            continue
        if told.get("log_id") in keys or told.get("schedule_id") in keys:
            found.append(message.pk)
    return found
