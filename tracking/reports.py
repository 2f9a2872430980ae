"""Applies what a carrier says of a call: the log moves forward only, whatever order it comes in."""

import logging
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from polaris.audit.changes import Changes
from polaris.audit.recording import record, together
from polaris.database import atomic, in_one_line, on_commit
from polaris.inserting import change, insert
from polaris.masking import mask_phone
from polaris.reading import read
from polaris.repeating import repeated
from schedules import arming
from schedules.models import CallSchedule, CallType
from tracking.announcing import announce_call
from tracking.audit import call_act
from tracking.carriers.base import CallReport
from tracking.models import CallLog
from tracking.retrying import retry
from tracking.settlement import hold, settle_held
from tracking.states import FINAL, LIVE, TRANSITIONS, CallStatus

logger = logging.getLogger(__name__)

# The carrier has not said yet that it has the call.
_NOT_HEARD_OF = frozenset({CallStatus.PENDING, CallStatus.UNKNOWN})
# A live call tells of every change; one silent for this long is asked for at the carrier.
SILENCE = timedelta(minutes=5)
# One whose end somebody waits for is asked for sooner.
IMPATIENCE = timedelta(minutes=1)
# Nobody else looks at a row that somebody looks at; should he die, somebody then does.
LEASE = timedelta(minutes=1)


class Verdict(StrEnum):
    """What became of a report."""

    APPLIED = "applied"
    LATE = "late"
    CREATED = "created"
    CONFLICT = "conflict"


@repeated
def apply_report(report: CallReport) -> Verdict:
    """Move the call that `report` speaks of, and settle its schedule where the call has ended.

    A call that we did not place gets a log of its own."""
    with atomic(savepoint=False), together():
        log = _find(report)
        if log is None:
            _record_foreign(report)
            return Verdict.CREATED
        return apply_to(log, report)


def apply_to(log: CallLog, report: CallReport) -> Verdict:
    """Move `log` to the state that `report` tells, if it is ahead, and settle its schedule where
    the call has ended; `log` holds the result.

    The caller has a transaction open."""
    while True:
        if log.call_id and log.call_id != report.call_id:
            return Verdict.CONFLICT
        if not TRANSITIONS.allows(log.status, report.status):
            # The row is still written, so that who comes second waits for who came first.
            CallLog.objects.filter(pk=log.pk, call_id="").update(call_id=report.call_id)
            return Verdict.LATE
        before, was_called = log.status, log.call_id
        changes = _changes(log, report)
        if change(log, changes, status=before):
            for name, value in changes.items():
                setattr(log, name, value)
            _record(log, before, was_called)
            if log.is_final or before in _NOT_HEARD_OF:
                _pass_on(log, before)
            return Verdict.APPLIED
        log.refresh_from_db()


def _pass_on(log: CallLog, before: str) -> None:
    """A call is at the carrier, or over: those who listen hear of it, and its schedule."""
    schedule = hold(log.schedule_id) if log.schedule_id else None
    if schedule is not None:
        log.schedule = schedule
    _tell(log, before)
    if schedule is not None:
        _tell_schedule(schedule, log)
    if log.is_final and log.schedule_id:
        wake_waiting_after(log)


def _tell_schedule(schedule: CallSchedule, log: CallLog) -> None:
    """Its latest call; where that is over the next attempt of it is armed, if there is one."""
    latest = {"call_id": log.call_id, "duration": log.duration}
    if log.is_final:
        retry(log, schedule)
        settle_held(schedule, **latest)
    else:
        CallSchedule.objects.filter(pk=schedule.pk).update(**latest)


def wake_waiting_after(log: CallLog) -> None:
    """What waits for the end of a call is woken after the commit: those rows are locked before
    any log."""
    on_commit(partial(_wake_waiting, log.pk))


def _wake_waiting(log_id: str) -> None:
    """What has been committed is done, whatever becomes of this: else they look by themselves."""
    try:
        arming.wake_waiting(log_id)
    except DatabaseError as error:
        logger.warning("what waits for %s looks later: %s", log_id, in_one_line(error))


def ask_sooner(log_id: str) -> None:
    """Somebody waits for the end of this call, which may have been lost on its way: it is asked for
    at the carrier once it has been silent for IMPATIENCE, and then as often."""
    now = timezone.now()
    _silent(now).filter(pk=log_id).update(next_check_at=now)


def ask_for_all() -> int:
    """Webhooks may have been lost: every live call is asked for at the carrier once it has been
    silent for IMPATIENCE, or soon after; says how many."""
    now = timezone.now()
    asked = _silent(now).update(next_check_at=now)
    return asked + _young(now).update(next_check_at=now + IMPATIENCE)


def ask_soon(log_id: str) -> None:
    """The carrier's answer could not be written at once, and webhooks may have been lost meanwhile:
    this call is asked for once it has been silent for IMPATIENCE."""
    now = timezone.now()
    _young(now).filter(pk=log_id).update(next_check_at=now + IMPATIENCE)


def _young(now: datetime) -> QuerySet[CallLog]:
    """Live calls that have told something, or begun, within IMPATIENCE."""
    return CallLog.objects.filter(status__in=LIVE, next_check_at__gt=now + SILENCE - IMPATIENCE)


def _silent(now: datetime) -> QuerySet[CallLog]:
    """Live calls that have told nothing for IMPATIENCE and nobody is about to look at."""
    return CallLog.objects.filter(
        status__in=LIVE,
        next_check_at__gt=now + LEASE,
        next_check_at__lte=now + SILENCE - IMPATIENCE,
    )


def _find(report: CallReport) -> CallLog | None:
    found = read(CallLog, report.attempt_id) if report.attempt_id else None
    return found or CallLog.objects.filter(call_id=report.call_id).first()


def _changes(log: CallLog, report: CallReport) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "status": report.status,
        "call_id": report.call_id,
        "last_updated": timezone.now(),
        "next_check_at": _next_check(log, report),
    }
    if log.error_code:  # of an answer that did not arrive, or a refusal before this one
        changes |= {"error_code": "", "error_message": ""}
    if log.attention:
        changes["attention"] = ""
    if report.status == CallStatus.IN_PROGRESS:
        changes["start_time"] = report.at
    if report.status in FINAL:
        changes |= _ending(log, report)
    told = {"answered_by": report.answered_by, "sip_response_code": report.sip_response_code}
    if any(told.values()):
        changes["metadata"] = log.metadata | {key: word for key, word in told.items() if word}
    return changes


def _next_check(log: CallLog, report: CallReport) -> datetime | None:
    """A call that is to be stopped is seen to at once, any other when it has been silent."""
    if report.status in FINAL:
        return None
    return timezone.now() + (timedelta() if log.stop else SILENCE)


def _ending(log: CallLog, report: CallReport) -> dict[str, Any]:
    changes: dict[str, Any] = {"end_time": report.at, "duration": report.duration}
    if report.status == CallStatus.COMPLETED:
        # The webhook that told of the answer may have been lost: count back from the end.
        talked = timedelta(seconds=report.duration or 0)
        changes["start_time"] = log.start_time or report.at - talked
    else:
        changes |= {
            "error_code": str(report.status),
            "error_message": report.reason or _ENDINGS[report.status].format(sip=_sip(report)),
        }
    return changes


_ENDINGS = {
    CallStatus.BUSY: "The line was busy.",
    CallStatus.NO_ANSWER: "Nobody answered.",
    CallStatus.FAILED: "The carrier could not connect the call{sip}.",
    CallStatus.CANCELLED: "The call was cancelled at the carrier before it was answered.",
}


def _sip(report: CallReport) -> str:
    return f" (SIP {report.sip_response_code})" if report.sip_response_code else ""


def _record(log: CallLog, before: str, was_called: str) -> None:
    """That a call is on its way, answered or over; what is between goes without saying."""
    if log.is_final:
        verb = "call.ended"
    elif log.status == CallStatus.IN_PROGRESS:
        verb = "call.answered"
    elif before in _NOT_HEARD_OF:
        verb = "call.placed"
    else:
        return
    more: Changes = {}
    if was_called != log.call_id:
        more["call_id"] = (was_called, log.call_id)
    if log.duration is not None:
        more["duration"] = (None, log.duration)
    record(call_act(verb, log, before, more, reason=log.error_message))


def _tell(log: CallLog, before: str) -> None:
    if before in _NOT_HEARD_OF:
        announce_call("call.started", log)
    if log.status == CallStatus.COMPLETED:
        announce_call("call.completed", log)
    elif log.is_final:
        announce_call("call.failed", log)


def _record_foreign(report: CallReport) -> None:
    """A call of our account that no schedule of ours asked for, such as an inbound one."""
    log = CallLog(
        # Its id is the call's own: two webhooks at once cannot make two logs of it.
        id=f"log_{report.call_id}",
        attempt=0,
        phone=report.phone,
        call_type=CallType.INBOUND if report.is_inbound else CallType.OUTBOUND,
        status=CallStatus.UNKNOWN,
        timestamp=report.at,
        metadata={"origin": "carrier"},
    )
    for name, value in _changes(log, report).items():
        setattr(log, name, value)
    insert(log)
    record(call_act("call.foreign", log, None, {"phone": (None, mask_phone(log.phone))}))
