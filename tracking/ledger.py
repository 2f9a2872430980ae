"""The ledger: an attempt is opened before the carrier is asked, and closed with its answer.

A row of call_logs is unique for (schedule, occurrence, attempt), so only one runner can open an
attempt, whatever dies or stalls. One that is found open already may have been dialled by a runner
that died: it becomes `unknown` and is never dialled again blindly.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from polaris.database import atomic
from polaris.states import move
from schedules import arming
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import DIALLABLE, ArmedStatus, ScheduleStatus
from tracking.announcing import announce_call
from tracking.carriers.base import CallNotAccepted, CallReport, Trouble
from tracking.models import CallLog
from tracking.reports import Verdict, apply_to
from tracking.settlement import settle
from tracking.states import CallStatus

_MAY_HAVE_BEEN_PLACED = (
    "The call may have been placed. It is not dialled again; a webhook settles it."
)


class ClaimLost(Exception):
    """The claim was taken from us: its schedule was paused, cancelled, changed or deleted."""


class AlreadyOpen(Exception):
    """Another runner has opened this attempt; whether it dialled is not known."""


def open_attempt(armed: ActiveSchedule) -> CallLog:
    """Commit the ledger row of a claimed occurrence. Raises ClaimLost or AlreadyOpen."""
    with _opening():
        _hold(armed)
        log = _row(armed, occurrence=armed.occurrence)
        log.save(force_insert=True)
        return log


def record_accepted(armed: ActiveSchedule, log: CallLog, answer: CallReport) -> None:
    """The carrier took the call: write its id, and arm the next occurrence."""
    with atomic():
        arming.lock(armed)
        # Webhooks may have been quicker than this answer: then it finds the call further on.
        if apply_to(log, answer) is not Verdict.APPLIED:
            log.refresh_from_db()
        _close(armed)


def record_not_accepted(armed: ActiveSchedule, log: CallLog, error: CallNotAccepted) -> None:
    """The carrier refused, or we do not know: write which, and arm the next occurrence."""
    ambiguous = error.trouble is Trouble.AMBIGUOUS
    status = CallStatus.UNKNOWN if ambiguous else CallStatus.FAILED
    with atomic():
        arming.lock(armed)
        _end_open(log, status, code=error.code, message=_in_words(error))
        _close(armed)


def record_unknown(armed: ActiveSchedule) -> None:
    """An attempt that a runner opened and never closed: we do not know whether it dialled."""
    with atomic():
        arming.lock(armed)
        log = CallLog.objects.get(
            schedule_id=armed.schedule_id, occurrence=armed.occurrence, attempt=armed.attempt
        )
        abandon(log)
        _close(armed)


def abandon(log: CallLog) -> bool:
    """Mark an open attempt whose runner has died as unknown; says whether it was still open."""
    return _end_open(
        log,
        CallStatus.UNKNOWN,
        code="runner_died",
        message=(
            "The runner stopped between asking the carrier and writing down its answer. "
            f"{_MAY_HAVE_BEEN_PLACED}"
        ),
    )


def record_missed(armed: ActiveSchedule, occurrences: dict[datetime, str]) -> None:
    """Write occurrences down that were never dialled, each with its reason in words, and arm the
    first one after them. Raises ClaimLost or AlreadyOpen."""
    now = timezone.now()
    with _opening():
        _hold(armed)
        logs = [
            _row(
                armed,
                occurrence=occurrence,
                status=CallStatus.MISSED,
                timestamp=now,
                end_time=now,
                error_code="missed",
                error_message=reason,
            )
            for occurrence, reason in occurrences.items()
        ]
        CallLog.objects.bulk_create(logs)
        for log in logs:
            announce_call("call.missed", log)
        _close(armed, after=max(occurrences))


@contextmanager
def _opening() -> Iterator[None]:
    try:
        with atomic():
            yield
    except IntegrityError as error:
        raise AlreadyOpen from error


def _hold(armed: ActiveSchedule) -> None:
    """Be sure that the claim is still ours and the schedule still wants the call."""
    held = ActiveSchedule.objects.filter(pk=armed.pk, lease=armed.lease)
    if not held.update(status=ArmedStatus.RUNNING, last_updated=timezone.now()):
        raise ClaimLost
    schedule = CallSchedule.objects.filter(pk=armed.schedule_id)
    if not move(schedule, to=ScheduleStatus.RUNNING, sources=DIALLABLE):
        raise ClaimLost
    if armed.is_lease_over(timezone.now()):
        raise ClaimLost  # we have waited for a lock until the claim had run out
    # Its number may have been corrected since it was read; from here on nobody can change it.
    armed.schedule.refresh_from_db()


def _end_open(log: CallLog, status: CallStatus, *, code: str, message: str) -> bool:
    """Move an attempt whose answer is outstanding; a webhook that was quicker keeps its word."""
    changed = move(
        CallLog.objects.filter(pk=log.pk),
        to=status,
        sources={CallStatus.PENDING},
        error_code=code,
        error_message=message,
        **({} if status == CallStatus.UNKNOWN else {"end_time": timezone.now()}),
    )
    log.refresh_from_db()
    if changed and status == CallStatus.FAILED:
        announce_call("call.failed", log)
    return bool(changed)


def _close(armed: ActiveSchedule, *, after: datetime | None = None) -> None:
    arming.consume(armed, after=after or armed.occurrence)
    settle(armed.schedule_id)


def record_impossible(armed: ActiveSchedule, reason: str) -> None:
    """Write down that an occurrence cannot be dialled, and pause its schedule until it is mended.

    Raises ClaimLost or AlreadyOpen."""
    with _opening():
        _hold(armed)
        log = _row(
            armed,
            occurrence=armed.occurrence,
            status=CallStatus.FAILED,
            end_time=timezone.now(),
            error_code="rule",
            error_message=reason,
        )
        log.save(force_insert=True)
        arming.suspend(armed.schedule)
        rows = CallSchedule.objects.filter(pk=armed.schedule_id)
        move(rows, to=ScheduleStatus.PAUSED, sources=DIALLABLE, status_reason=reason)
        announce_call("call.failed", log)


def _row(armed: ActiveSchedule, **more: Any) -> CallLog:
    schedule = armed.schedule
    return CallLog(
        schedule=schedule,
        attempt=armed.attempt,
        created_by=schedule.created_by,
        user_profile_id=schedule.user_profile_id,
        agent_instance_id=schedule.agent_instance_id,
        call_type=schedule.call_type,
        phone=schedule.phone,
        notes=schedule.notes,
        metadata={"runner_id": armed.runner_id, "origin": armed.origin},
        **more,
    )


def _in_words(error: CallNotAccepted) -> str:
    if error.trouble is Trouble.AMBIGUOUS:
        return f"{error.message.rstrip('.')}. {_MAY_HAVE_BEEN_PLACED}"
    return error.message
