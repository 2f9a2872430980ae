"""The ledger: an attempt is opened before the carrier is asked, and closed with its answer.

A row of call_logs is unique for (schedule, occurrence, attempt), so only one runner can open an
attempt, whatever dies or stalls. One that is found open already may have been dialled by a runner
that died: it becomes `unknown` and is never dialled again blindly. tracking.opening opens them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.db.models import F, QuerySet
from django.utils import timezone

from polaris.audit.recording import Act, record, together
from polaris.compiled import compiled_select
from polaris.database import among, atomic, sent_together
from polaris.inserting import insert_all, made, write_each
from polaris.moments import show_utc
from polaris.privacy.fields import sealed_value
from polaris.repeating import repeated
from polaris.states import move
from schedules import arming
from schedules.models import ActiveSchedule, CallSchedule
from schedules.pauses import begin_pause
from schedules.states import DIALLABLE, ArmedStatus, ScheduleStatus
from tracking.announcing import announce_call
from tracking.audit import call_act
from tracking.carriers.base import CallNotAccepted, CallReport
from tracking.decisions import Miss, Wait
from tracking.models import CallLog
from tracking.reports import SILENCE, Verdict, apply_to, ask_sooner, wake_waiting_after
from tracking.settlement import settle
from tracking.states import CallStatus

# A webhook that comes at all comes within seconds: only then the carrier's list is asked.
_FIRST_LOOK_UP = timedelta(seconds=5)
_WRITTEN_WITH_AN_ANSWER = (
    "status",
    "call_id",
    "timestamp",
    "next_check_at",
    "last_updated",
    "error_code",
    "error_message",
)
_ENDINGS = {
    CallStatus.UNKNOWN: "call.unknown",
    CallStatus.DEFERRED: "call.deferred",
    CallStatus.FAILED: "call.failed",
}
_MAY_HAVE_BEEN_PLACED = (
    "The call may have been placed. It is dialled again only when the carrier is seen not to have "
    "it; a webhook or a look-up settles it."
)


class ClaimLost(Exception):
    """The claim was taken from us: its schedule was paused, cancelled, changed or deleted."""


class AlreadyOpen(Exception):
    """Another runner has opened this attempt; whether it dialled is not known."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A call that the carrier took: the claim, its ledger row, the answer, when it was asked."""

    armed: ActiveSchedule
    log: CallLog
    answer: CallReport
    asked_at: datetime


def new_row(armed: ActiveSchedule, *, now: datetime, status: str = CallStatus.PENDING) -> CallLog:
    """The log of a claimed occurrence, not yet written."""
    schedule = armed.schedule
    log = made(
        CallLog,
        schedule_id=schedule.pk,
        occurrence=armed.occurrence,
        attempt=armed.attempt,
        due_at=armed.due_at,
        status=status,
        timestamp=max(now, armed.due_at),
        last_updated=now,
        created_by=schedule.created_by,
        user_profile_id=schedule.user_profile_id,
        agent_instance_id=schedule.agent_instance_id,
        call_type=schedule.call_type,
        # As they are stored: neither is opened or sealed anew.
        phone=sealed_value(schedule, "phone"),
        phone_lookup=schedule.phone_lookup,
        notes=sealed_value(schedule, "notes"),
        metadata={"runner_id": armed.runner_id, "origin": armed.origin},
    )
    log.schedule = schedule
    return log


@repeated
def record_accepted(batch: Sequence[Accepted]) -> None:
    """The carrier took these calls: write their ids, and arm what follows."""
    with atomic():
        arming.consume_together([each.armed for each in batch])
        untouched = _lock_untouched([each.log.pk for each in batch])
        _write_together([each for each in batch if each.log.pk in untouched])
        for each in batch:
            if each.log.pk not in untouched:
                _write_alone(each)


@repeated
def record_refused(armed: ActiveSchedule, log: CallLog, error: CallNotAccepted) -> None:
    """The carrier refused the call for good."""
    with atomic(), together():
        arming.lock(armed)
        end_open(log, CallStatus.FAILED, code=error.code, message=error.message)
        _close(armed)


@repeated
def record_deferred(
    armed: ActiveSchedule, log: CallLog, error: CallNotAccepted, *, until: datetime
) -> None:
    """The carrier refused the call for now: it is asked again at `until`.

    Where the schedule was paused, changed or cancelled meanwhile it is not asked any more."""
    with atomic(), together():
        goes_on = arming.put_off(armed, until=until, reason=error.message, asked=F("asked") + 1)
        status = CallStatus.DEFERRED if goes_on else CallStatus.FAILED
        end_open(log, status, code=error.code, message=error.message)
        settle(armed.schedule_id)


@repeated
def record_ambiguous(armed: ActiveSchedule, log: CallLog, error: CallNotAccepted) -> None:
    """We do not know whether the carrier took the call."""
    message = f"{error.message.rstrip('.')}. {_MAY_HAVE_BEEN_PLACED}"
    with atomic():
        arming.lock(armed)
        end_open(log, CallStatus.UNKNOWN, code=error.code, message=message)
        _close(armed)


@repeated
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
    return end_open(
        log,
        CallStatus.UNKNOWN,
        code="runner_died",
        message=(
            "The runner stopped between asking the carrier and writing down its answer. "
            f"{_MAY_HAVE_BEEN_PLACED}"
        ),
    )


@repeated
def record_given_up(armed: ActiveSchedule, log: CallLog, reason: str) -> None:
    """Close an attempt that the carrier has refused for now until it was too late."""
    with atomic():
        arming.lock(armed)
        _end(log, CallStatus.FAILED, CallStatus.DEFERRED, code=log.error_code, message=reason)
        _close(armed)


@repeated
def record_missed(armed: ActiveSchedule, miss: Miss) -> None:
    """Write occurrences down that were never dialled, each with its reason in words, and arm the
    first one after them. Raises ClaimLost or AlreadyOpen."""
    now = timezone.now()
    with _opening():
        _hold(armed)
        logs = []
        for occurrence, reason in miss.reasons.items():
            log = new_row(armed, now=now, status=CallStatus.MISSED)
            log.occurrence, log.timestamp, log.end_time = occurrence, now, now
            if armed.origin == ActiveSchedule.Origin.RULE:
                log.due_at = occurrence
            log.error_code, log.error_message = miss.code, reason
            logs.append(log)
        insert_all(logs)
        record(*(_missed(log) for log in logs))
        for log in logs:
            announce_call("call.missed", log)
        _close(armed, after=max(miss.reasons))


@repeated
def record_waiting(armed: ActiveSchedule, wait: Wait) -> None:
    """Let an occurrence wait that cannot be dialled now."""
    moved = {"due_at": wait.until} if wait.is_due_then else {}
    with atomic():
        if arming.put_off(armed, until=wait.until, reason=wait.reason, waits_on=wait.on, **moved):
            settle(armed.schedule_id)
    if not wait.on:
        return
    if CallLog.objects.on_the_line().filter(pk=wait.on).exists():
        ask_sooner(wait.on)
    else:
        arming.wake_waiting(wait.on)  # it has ended while we wrote


@repeated
def record_impossible(armed: ActiveSchedule, reason: str) -> None:
    """Write down that an occurrence cannot be dialled, and pause its schedule until it is mended.

    Raises ClaimLost or AlreadyOpen."""
    with _opening():
        _hold(armed)
        log = new_row(armed, now=timezone.now(), status=CallStatus.FAILED)
        log.end_time, log.error_code, log.error_message = timezone.now(), "rule", reason
        log.save(force_insert=True)
        record(call_act("call.failed", log, None, reason=reason))
        pause_until_mended(armed.schedule, reason)
        announce_call("call.failed", log)


def pause_until_mended(schedule: CallSchedule, reason: str) -> None:
    """Dial nothing of a schedule whose rule cannot be followed. In the caller's transaction."""
    arming.suspend(schedule)
    rows = CallSchedule.objects.filter(pk=schedule.pk)
    if move(rows, to=ScheduleStatus.PAUSED, sources=DIALLABLE, status_reason=reason):
        record(_paused(schedule, reason))
    begin_pause(schedule.pk)


def end_open(log: CallLog, status: CallStatus, *, code: str, message: str) -> bool:
    """Move an attempt whose answer is outstanding; a webhook that was quicker keeps its word."""
    return _end(log, status, CallStatus.PENDING, code=code, message=message)


def _end(log: CallLog, to: CallStatus, source: CallStatus, *, code: str, message: str) -> bool:
    now = timezone.now()
    times = {
        CallStatus.UNKNOWN: {"next_check_at": now + _FIRST_LOOK_UP},
        CallStatus.DEFERRED: {},
    }
    changed = move(
        CallLog.objects.filter(pk=log.pk),
        to=to,
        sources={source},
        error_code=code,
        error_message=message,
        **times.get(to, {"end_time": now, "next_check_at": None}),
    )
    log.refresh_from_db()
    if changed:
        record(call_act(_ENDINGS[to], log, source, reason=message))
    if changed and to != CallStatus.UNKNOWN:
        wake_waiting_after(log)
    if changed and to == CallStatus.FAILED:
        announce_call("call.failed", log)
    return bool(changed)


def close_unknown(log: CallLog, *, code: str, message: str, verb: str) -> bool:
    """Close an attempt that the carrier is seen not to have; says whether it was still unknown.

    `verb` is that of the audit."""
    now = timezone.now()
    changed = move(
        CallLog.objects.filter(pk=log.pk),
        to=CallStatus.FAILED,
        sources={CallStatus.UNKNOWN},
        error_code=code,
        error_message=message,
        attention="",
        end_time=now,
        next_check_at=None,
    )
    log.refresh_from_db()
    if changed:
        record(call_act(verb, log, CallStatus.UNKNOWN, reason=message))
    wake_waiting_after(log)
    return bool(changed)


def _missed(log: CallLog) -> Act:
    occurrence = {"occurrence": (None, show_utc(log.occurrence))}
    return call_act("call.missed", log, None, occurrence, reason=log.error_message)


def _paused(schedule: CallSchedule, reason: str) -> Act:
    changed = {"status": (str(schedule.status), str(ScheduleStatus.PAUSED))}
    return Act("schedule.pause", "schedule", schedule.pk, schedule.pk, changed, reason)


def _lock_untouched(logs: list[str]) -> set[str]:
    """Lock these rows; returns those to which nothing has happened since they were opened."""
    return {
        log
        for log, status, stop, call_id in _with_their_locks(logs)
        if status == CallStatus.PENDING and not stop and not call_id
    }


@compiled_select
def _with_their_locks(logs: list[str]) -> QuerySet[CallLog, tuple[str, str, str, str]]:
    rows = CallLog.objects.filter(among("pk", logs)).order_by("pk").select_for_update()
    return rows.values_list("pk", "status", "stop", "call_id")


def _write_together(batch: Sequence[Accepted]) -> None:
    now = timezone.now()
    for each in batch:
        log = each.log
        log.status, log.call_id = each.answer.status, each.answer.call_id
        log.timestamp, log.next_check_at, log.last_updated = each.asked_at, now + SILENCE, now
        log.error_code = log.error_message = ""
    if batch:
        with sent_together():
            write_each([each.log for each in batch], _WRITTEN_WITH_AN_ANSWER)
            _tell_schedules(batch)
            record(*(_placed(each.log) for each in batch))
    for each in batch:
        announce_call("call.started", each.log)


def _placed(log: CallLog) -> Act:
    return call_act("call.placed", log, CallStatus.PENDING, {"call_id": ("", log.call_id)})


def _tell_schedules(batch: Sequence[Accepted]) -> None:
    """Each has its latest call's id."""
    schedules = {each.armed.schedule_id: each.armed.schedule for each in batch}
    for each in batch:
        schedule = schedules[each.armed.schedule_id]
        schedule.call_id, schedule.duration = each.answer.call_id, None
    write_each([schedules[key] for key in sorted(schedules)], ("call_id", "duration"))


def _write_alone(each: Accepted) -> None:
    """Webhooks were quicker than this answer, or the call is to be stopped."""
    log = CallLog.objects.get(pk=each.log.pk)
    CallLog.objects.filter(pk=log.pk).update(timestamp=each.asked_at)
    if apply_to(log, each.answer) is not Verdict.APPLIED:
        settle(each.armed.schedule_id)


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


def _close(armed: ActiveSchedule, *, after: datetime | None = None) -> None:
    arming.consume(armed, after=after or armed.occurrence)
    settle(armed.schedule_id)
