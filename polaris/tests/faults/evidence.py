"""What the carrier's ledger and ours must say together, whatever has died."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from schedules.models import CallSchedule
from tracking.models import CallLog
from tracking.simulator.testing import SimulatedCarrier

_ATTEMPT = re.compile(r"attempt_id=(log_\w+)")
# An attempt is followed by another where it was never placed, or by a policy.
NEVER_TAKEN = ("not_placed", "not_wanted")


def creates(carrier: SimulatedCarrier) -> dict[str, list[str]]:
    """The SIDs of the accepted creates of each attempt, by the carrier's own ledger."""
    found = defaultdict(list)
    for call in carrier.calls():
        found[_ATTEMPT.findall(call["status_callback"])[0]].append(call["sid"])
    return dict(found)


def check_exactly_once(carrier: SimulatedCarrier) -> None:
    """One accepted create per (schedule, occurrence, attempt), and each is on our ledger.

    An occurrence was attempted again only where its last attempt was never placed, or where its
    schedule has a policy of retries."""
    placed = creates(carrier)
    twice = {attempt: sids for attempt, sids in placed.items() if len(sids) > 1}
    assert not twice, f"accepted more than once: {twice}"
    logs = {log.pk: log for log in CallLog.objects.select_related("schedule")}
    told = {log.pk: [log.call_id] for log in logs.values() if log.call_id}
    assert told == placed, "our ledger and the carrier's differ"
    occurrences: dict[tuple[str, object], list[CallLog]] = defaultdict(list)
    for log in sorted(logs.values(), key=lambda log: log.attempt):
        occurrences[log.schedule_id or "", log.occurrence].append(log)
    for attempts in occurrences.values():
        assert [log.attempt for log in attempts] == list(range(1, len(attempts) + 1))
        _check_attempts(attempts)


def _check_attempts(attempts: list[CallLog]) -> None:
    schedule = CallSchedule.objects.filter(pk=attempts[0].schedule_id).first()
    for log in attempts[:-1]:
        again = log.error_code in NEVER_TAKEN or (schedule and schedule.retry_policy)
        assert again, f"{log.pk} ({log.status}, {log.error_code}) was followed by another attempt"


def check_nothing_lost(schedules: Iterable[CallSchedule]) -> None:
    """Every due occurrence is on the ledger, and what was not talked says why, in words."""
    for schedule in schedules:
        logs = list(CallLog.objects.filter(schedule_id=schedule.pk))
        cancelled = CallSchedule.objects.filter(pk=schedule.pk, status="cancelled").exists()
        assert logs or cancelled, f"{schedule.pk} left no trace"
        for log in logs:
            if log.status != "completed":
                assert log.error_code, (log.pk, log.status)
                assert " " in log.error_message, (log.pk, log.status, log.error_message)


def story(schedule: CallSchedule) -> list[tuple[str, str]]:
    """Each attempt's end and its reason."""
    logs = CallLog.objects.filter(schedule_id=schedule.pk).order_by("occurrence", "attempt")
    return [(log.status, log.error_code) for log in logs]


def summary() -> Counter[str]:
    """How many logs ended how."""
    return Counter(CallLog.objects.values_list("status", flat=True))
