"""Follows up calls that say nothing by themselves: asks the carrier, and stops what is not wanted.

Each row says when it is to be looked at (`next_check_at`). Whoever looks moves that time ahead
first, by compare-and-set, so any number of runners share the work and none does it twice at once.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, zip_longest

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone

from polaris.audit.recording import Act, record
from polaris.database import atomic, is_away, renew_connection
from polaris.errors import Unreadable
from polaris.moments import whole_milliseconds
from polaris.repeating import repeated
from schedules import arming
from schedules.models import CallSchedule
from schedules.states import DIALLABLE
from tracking import ledger
from tracking.announcing import announce_call
from tracking.carriers import answered_within, get_carrier
from tracking.carriers.base import CallReport
from tracking.models import CallLog
from tracking.reports import LEASE, SILENCE, Verdict, apply_report, apply_to, ask_for_all
from tracking.settlement import settle
from tracking.states import LIVE, CallStatus

logger = logging.getLogger(__name__)

_AT_ONCE = 50  # of each kind
_TURN_SECONDS = 10.0
# The carrier's clock and ours may differ by so much.
_SKEW = timedelta(seconds=60)
_AGAIN = timedelta(seconds=5)
_LATER = timedelta(minutes=5)
# Twilio ends a call by itself after four hours, unless it was asked for more.
_LONGEST_CALL = timedelta(hours=4, minutes=15)
_LONGEST_DOUBT = timedelta(minutes=10)


@dataclass(slots=True)
class _Seen:
    is_away: bool = False


_seen = _Seen()


def follow_up() -> int:
    """Look at the rows whose time has come; says how many. Call it outside of a transaction.

    The carrier gives up webhooks that it cannot deliver: where the database was away, all live
    calls are asked for when it is back."""
    renew_connection()
    try:
        if _seen.is_away:
            _catch_up()
        looked_at = _follow_up()
    except DatabaseError as error:
        _seen.is_away = _seen.is_away or is_away(error)
        raise
    renew_connection()
    return looked_at


def _catch_up() -> None:
    count = ask_for_all()
    _seen.is_away = False
    logger.info("the database was away: %d calls are asked for at the carrier", count)


def _follow_up() -> int:
    ends = time.monotonic() + _TURN_SECONDS
    looked_at = 0
    for log in _due():
        if time.monotonic() > ends:
            break
        if _take(log):
            looked_at += 1
            _look_at(log)
    return looked_at


def _due() -> list[CallLog]:
    """By turns what nobody knows or somebody wants stopped, and what is merely silent: of the one
    there may be very many after an outage, and the other comes back every few seconds."""
    due = CallLog.objects.filter(next_check_at__lte=timezone.now()).order_by("next_check_at")
    is_urgent = Q(status=CallStatus.UNKNOWN) | ~Q(stop="")
    urgent, silent = due.filter(is_urgent)[:_AT_ONCE], due.exclude(is_urgent)[:_AT_ONCE]
    by_turns = chain.from_iterable(zip_longest(urgent, silent))
    return [log for log in by_turns if log is not None]


def _take(log: CallLog) -> bool:
    held = whole_milliseconds(timezone.now() + LEASE)
    rows = CallLog.objects.filter(pk=log.pk, status=log.status, next_check_at=log.next_check_at)
    log.next_check_at = held
    return bool(rows.update(next_check_at=held))


def _look_at(log: CallLog) -> None:
    """One row that cannot be put right does not keep the others from it."""
    try:
        if log.status == CallStatus.UNKNOWN:
            _look_up(log)
        elif log.status in LIVE and log.stop:
            _stop(log)
        elif log.status in LIVE:
            _ask_for(log)
        else:
            _check_again(log, None)  # its runner still waits for the answer, or it is over
    except Exception as error:
        if isinstance(error, DatabaseError) and is_away(error):
            raise
        logger.exception("%s could not be followed up", log.pk)


def _look_up(log: CallLog) -> None:
    """Is there a call at the carrier that can only be this one?"""
    asked_at, now = log.timestamp, timezone.now()
    patience = answered_within()
    try:
        number = log.phone
    except Unreadable as error:
        _flag(log, f"It cannot be looked up. {error.issue}", now, at_once=True)
        _check_again(log, now + _LATER)
        return
    found = get_carrier().find_calls(
        number, since=asked_at - _SKEW, until=asked_at + patience + _SKEW
    )
    now = timezone.now()
    if found is None:
        _flag(log, "The carrier cannot be asked whether it took this call.", now)
        _check_again(log, now + _AGAIN * 2)
        return
    named = CallLog.objects.filter(call_id__in=[report.call_id for report in found])
    known = set(named.exclude(pk=log.pk).values_list("call_id", flat=True))
    free = [report for report in found if report.call_id not in known]
    if len(free) == 1:
        _bind(log, free[0])
    elif free:
        _flag(log, f"{len(free)} calls at the carrier may be this one.", now, at_once=True)
        _check_again(log, now + _LATER)
    elif not _absence_counts(log, now):
        _check_again(log, now + _AGAIN)  # the list may lag behind
    else:
        _not_placed(log)


def _absence_counts(log: CallLog, now: datetime) -> bool:
    """Whether a carrier that has no record of it never took it: what it tells may lag behind."""
    lag = timedelta(seconds=settings.UNKNOWN_LOOKUP_SECONDS)
    return now - log.timestamp >= lag + answered_within()


@repeated
def _bind(log: CallLog, report: CallReport) -> None:
    with atomic():
        verdict = apply_to(log, report)
    logger.info("%s is %s at the carrier: %s", log.pk, report.call_id, verdict)


@repeated
def _not_placed(log: CallLog) -> None:
    """The carrier has no such call: it is dialled again if that is still in time."""
    now = timezone.now()
    grace = timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)
    due_at = log.due_at or log.occurrence or log.timestamp
    in_time = now <= due_at + grace and not log.stop
    with atomic():
        wanted = in_time and _is_wanted(log)
        outcome = "It is dialled again." if wanted else "It is too late to dial it again."
        closed = ledger.close_unknown(
            log,
            code="not_placed",
            message=f"The carrier never took this call. {outcome}",
            verb="call.not_placed",
        )
        if closed and wanted and log.schedule_id and log.occurrence:
            arming.arm_retry(
                log.schedule_id,
                occurrence=log.occurrence,
                attempt=log.attempt + 1,
                due_at=due_at,
            )
        if closed and not wanted:
            announce_call("call.failed", log)
        if closed and log.schedule_id:
            settle(log.schedule_id)
    logger.warning("%s was never placed. %s", log.pk, outcome)


def _is_wanted(log: CallLog) -> bool:
    schedules = CallSchedule.objects.filter(pk=log.schedule_id, status__in=DIALLABLE)
    return schedules.exists()


def _stop(log: CallLog) -> None:
    report = get_carrier().stop_call(log.call_id, hang_up=log.stop == CallLog.Stop.HANG_UP)
    now = timezone.now()
    if report is None:
        _check_again(log, now + _AGAIN)
        return
    apply_report(report)
    logger.info("%s was to be stopped, and is %s", log.pk, report.status)
    log.refresh_from_db()
    if log.stop == CallLog.Stop.CANCEL and log.status == CallStatus.IN_PROGRESS:
        CallLog.objects.filter(pk=log.pk).update(stop="")  # it was answered: it goes on
        _check_again(log, now + SILENCE)
    elif not log.is_final:
        _check_again(log, now + _AGAIN)


def _ask_for(log: CallLog) -> None:
    """A call that is silent: its webhooks may have been lost."""
    report = get_carrier().fetch_call(log.call_id)
    now = timezone.now()
    if report is None or (report.is_absent and not _absence_counts(log, now)):
        _flag(log, "Its webhooks do not come, and the carrier cannot be asked for it.", now)
        _check_again(log, now + SILENCE / 5)
        return
    if apply_report(report) is Verdict.APPLIED:
        logger.info("%s is %s, says the carrier", log.pk, report.status)
    log.refresh_from_db()
    if not log.is_final and not log.stop:  # that was asked for meanwhile, and is seen to at once
        words = f"It is {log.get_status_display()} for longer than a call can last."
        if now - log.timestamp > _LONGEST_CALL:
            _flag(log, words, now, at_once=True)
        elif log.attention:  # it can be asked for again
            CallLog.objects.filter(pk=log.pk).update(attention="")
        _check_again(log, now + SILENCE)


@repeated
def _flag(log: CallLog, attention: str, now: datetime, *, at_once: bool = False) -> None:
    """Let an operator see it, once it has lasted."""
    if log.attention or not (at_once or now - log.timestamp > _LONGEST_DOUBT):
        return
    with atomic():
        if CallLog.objects.filter(pk=log.pk, attention="").update(attention=attention):
            log.attention = attention
            record(Act("call.attention", "call", log.pk, log.schedule_id, reason=attention))
            logger.warning("%s needs attention: %s", log.pk, attention)
            announce_call("call.stuck", log)


def _check_again(log: CallLog, at: datetime | None) -> None:
    """Unless it has moved on meanwhile, or somebody wants it looked at sooner."""
    ours = CallLog.objects.filter(pk=log.pk, status=log.status, next_check_at=log.next_check_at)
    ours.update(next_check_at=at)
