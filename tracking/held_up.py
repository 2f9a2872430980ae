"""What keeps all that is due from being dialled, in words: for whoever asks of a call, and for the
dashboard. What keeps a single call is written in its own row.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from polaris.admin_words import moment_in_words
from schedules.models import Gate, Runner
from tracking.concurrency import calls_in_hand


def what_holds_up(gate: Gate, *, now: datetime, zone: ZoneInfo) -> str:
    """Empty where nothing is known that does. Moments are told in `zone`."""
    if gate.closed_since is not None:
        return f"Nothing is dialled since {moment_in_words(gate.closed_since, zone)}: {gate.reason}"
    return _no_runner(now) or _no_place(now) or _pace(gate, now)


def _no_runner(now: datetime) -> str:
    troubles = list(Runner.objects.claiming().alive(now).values_list("trouble", flat=True))
    if not troubles:
        return "No runner is there to dial."
    if all(troubles):
        return f"No runner can dial: {str(troubles[0]).rstrip('.')}."
    if settings.SCHEDULER_EXECUTOR == "celery" and not Runner.objects.workers().alive(now).exists():
        return "No worker of Celery is there to dial."
    return ""


def _no_place(now: datetime) -> str:
    most = settings.MAX_CONCURRENT_CALLS
    if not most or calls_in_hand(now) < most:
        return ""
    return f"As many calls are under way as may be at a time: {most}."


def _pace(gate: Gate, now: datetime) -> str:
    """Slots are given out up to now while there are more calls than slots."""
    pace = settings.CALLS_PER_SECOND
    if not pace or gate.next_slot is None or gate.next_slot < now:
        return ""
    return f"Calls begin at {pace:g} a second at most, and others were due before it."
