"""After a backup was restored: what was dialled since it was taken is not dialled again.

The restored rows know nothing of it, but the carrier does. Each of its calls that no row of ours
names is taken over by the occurrence that it was made for; what else was due at its number, and can
therefore not be told from what was dialled, is closed. docs/decisions/0017 says what this promises.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone

from polaris.audit.recording import record
from polaris.database import atomic
from polaris.errors import SchedulerFailure
from polaris.repeating import repeated
from polaris.states import move
from schedules import arming, gate
from schedules.claims import LEAD
from schedules.models import ActiveSchedule, Runner
from tracking import ledger
from tracking.announcing import announce_call
from tracking.audit import call_act
from tracking.carriers import get_carrier
from tracking.carriers.base import CallReport
from tracking.models import CallLog
from tracking.reports import apply_report, apply_to, wake_waiting_after
from tracking.settlement import settle
from tracking.states import LIVE, CallStatus

# The carrier's clock and ours may differ by so much.
_SKEW = timedelta(seconds=60)
_AT_ONCE = 500
_OPEN = frozenset({CallStatus.PENDING, CallStatus.DEFERRED, CallStatus.UNKNOWN})
_MAY_HAVE_BEEN = (
    "A backup was restored that is older than this call's time: it may have been dialled, and is "
    "not dialled again."
)

_WAS_DIALLED = "A backup was restored: the carrier has this call, which was dialled since."

Key = tuple[str, datetime | None, int]


class CarrierSilent(Exception):
    """The carrier cannot be asked which calls it has."""


@dataclass(slots=True)
class Findings:
    """What the carrier has that our rows did not know of, and what became of it."""

    taken_over: list[CallLog] = field(default_factory=list)
    """Occurrences that were dialled, with the carrier's word of them."""
    closed: list[CallLog] = field(default_factory=list)
    """Occurrences that may have been dialled."""
    unexplained: list[CallReport] = field(default_factory=list)
    """Calls for which nothing of ours was due."""


@dataclass(frozen=True, slots=True)
class _Open:
    """An occurrence that may have been dialled: its log, perhaps unwritten, and what is armed."""

    due_at: datetime
    schedule_id: str
    log: CallLog
    armed: ActiveSchedule | None = None
    is_fresh: bool = False
    """Armed by what was found out just now: when it was due, then, is not known."""

    def is_over_before(self, moment: datetime) -> bool:
        grace = timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)
        return not self.is_fresh and self.due_at + grace + _SKEW < moment

    def is_due_before(self, moment: datetime) -> bool:
        return self.is_fresh or self.due_at - _SKEW <= moment


def last_sign_of_life() -> datetime | None:
    """When a runner last told that it ran, in these rows: the backup is not older than that.

    One that has started since dialling was stopped is passed over: it ran by mistake, after the
    restore. None where none ever ran before."""
    runners = Runner.objects.order_by("-last_seen_at")
    if closed_since := gate.current().closed_since:
        runners = runners.filter(started_at__lte=closed_since)
    return runners.values_list("last_seen_at", flat=True).first()


def account_for_calls(*, since: datetime) -> Findings:
    """Take over what the carrier was asked for after `since`, and close what may be among it.

    Nobody may dial meanwhile. May be repeated. Raises CarrierSilent, with nothing changed."""
    started = timezone.now()
    calls = get_carrier().calls_since(_asked_since(since) - _SKEW)
    if calls is None:
        raise CarrierSilent
    unnamed = defaultdict(list)
    named = _named([call.call_id for call in calls])
    for call in sorted(calls, key=_made_at):
        if call.call_id not in named:
            unnamed[call.phone].append(call)
    findings = Findings()
    concerned = _schedules_by_number(started)
    for phone, calls_to_it in unnamed.items():
        _account_for_number(calls_to_it, concerned[phone], started, findings)
    return findings


def close_what_was_due() -> Findings:
    """Without the carrier's word: nothing that was due by now is dialled, for it may have been."""
    started = timezone.now()
    findings = Findings()
    for schedules in _schedules_by_number(started).values():
        _close_all(schedules, started, findings)
    return findings


def _asked_since(moment: datetime) -> datetime:
    """What was open in the backup was asked for before it was taken."""
    asked = CallLog.objects.filter(status__in=_OPEN).order_by("timestamp")
    return min(moment, asked.values_list("timestamp", flat=True).first() or moment)


def _named(call_ids: Collection[str]) -> set[str]:
    """Those that a call of ours has. One only heard of, by a webhook, is not known to be ours."""
    wanted = list(call_ids)
    named: set[str] = set()
    for start in range(0, len(wanted), _AT_ONCE):
        ours = CallLog.objects.filter(attempt__gt=0, call_id__in=wanted[start : start + _AT_ONCE])
        named.update(ours.values_list("call_id", flat=True))
    return named


def _schedules_by_number(moment: datetime) -> dict[str, set[str]]:
    """The schedules that may have dialled each number after the backup was taken."""
    concerned: dict[str, set[str]] = defaultdict(set)
    armed = ActiveSchedule.objects.filter(due_at__lte=moment + LEAD).select_related("schedule")
    for row in armed.iterator(chunk_size=_AT_ONCE):
        concerned[row.schedule.phone].add(row.schedule_id)
    logs = CallLog.objects.filter(status__in=_OPEN | LIVE, attempt__gt=0)
    for log in logs.iterator(chunk_size=_AT_ONCE):
        if log.schedule_id:
            concerned[log.phone].add(log.schedule_id)
    return concerned


def _account_for_number(
    calls: Iterable[CallReport], schedules: set[str], started: datetime, findings: Findings
) -> None:
    """The calls to one number, in the order in which they were made."""
    _bring_up_to_date(schedules)
    for call in calls:
        made_at = _made_at(call)
        _close_all(schedules, started, findings, over_before=made_at)
        found = _open_ones(schedules, started)
        dialled = next((each for each in found if each.is_due_before(made_at)), None)
        log = _take_over(dialled, call) if dialled else None
        if log:
            findings.taken_over.append(log)
        else:
            apply_report(call)
            findings.unexplained.append(call)
    _close_all(schedules, started, findings)


def _bring_up_to_date(schedules: set[str]) -> None:
    """What was live when the backup was taken may have ended, and another attempt followed it."""
    live = CallLog.objects.live().filter(schedule_id__in=schedules)
    for log in live:
        report = get_carrier().fetch_call(log.call_id)
        if report:
            apply_report(report)


def _open_ones(schedules: set[str], started: datetime) -> list[_Open]:
    """What these schedules had due by then and has no end yet, the earliest first."""
    armed = ActiveSchedule.objects.filter(schedule_id__in=schedules).select_related("schedule")
    fresh = Q(origin=ActiveSchedule.Origin.RETRY, created_at__gte=started)
    rows = list(armed.filter(Q(due_at__lte=started + LEAD) | fresh))
    logs = _logs_of(schedules, {row.occurrence for row in rows})
    found = []
    for row in rows:
        log = logs.pop((row.schedule_id, row.occurrence, row.attempt), None)
        if log is None:
            log = ledger.new_row(row, now=started, status=CallStatus.UNKNOWN)
        if log.status in _OPEN:
            is_retry = row.origin == ActiveSchedule.Origin.RETRY
            is_fresh = is_retry and row.created_at >= started
            found.append(_Open(row.due_at, row.schedule_id, log, row, is_fresh))
    for log in logs.values():
        if log.status in _OPEN and log.schedule_id:
            found.append(_Open(log.due_at or log.timestamp, log.schedule_id, log))
    return sorted(found, key=lambda each: each.due_at)


def _logs_of(schedules: set[str], occurrences: set[datetime]) -> dict[Key, CallLog]:
    concerned = Q(occurrence__in=occurrences) | Q(status__in=_OPEN)
    logs = CallLog.objects.filter(concerned, schedule_id__in=schedules)
    return {(str(log.schedule_id), log.occurrence, log.attempt): log for log in logs}


@repeated
def _take_over(dialled: _Open, call: CallReport) -> CallLog | None:
    """It was dialled as `call`. None where its number has another call that is not over."""
    log = dialled.log
    try:
        with atomic():
            _lock(dialled)
            if log._state.adding:
                log.save(force_insert=True)
            CallLog.objects.filter(attempt=0, call_id=call.call_id).delete()  # a webhook's
            _prepare(log)
            apply_to(log, call)
            CallLog.objects.filter(pk=log.pk).update(timestamp=_made_at(call))
            known = {"call_id": ("", call.call_id)}
            record(call_act("call.placed", log, None, known, reason=_WAS_DIALLED))
            _go_on(dialled)
    except IntegrityError:
        return None
    return log


def _prepare(log: CallLog) -> None:
    """A call that the carrier had refused for now was taken later: a report may follow."""
    rows = CallLog.objects.filter(pk=log.pk)
    if move(rows, to=CallStatus.PENDING, sources={CallStatus.DEFERRED}):
        log.refresh_from_db()


def _close_all(
    schedules: set[str],
    started: datetime,
    findings: Findings,
    *,
    over_before: datetime | None = None,
) -> None:
    """Nothing of it that was due by then is dialled; or only nothing that was over before.

    A rule arms the next occurrence, which may have been due, too. What was armed just now stays:
    there is no call at the carrier left that it could have been."""
    while True:
        found = [
            each
            for each in _open_ones(schedules, started)
            if not each.is_fresh and (over_before is None or each.is_over_before(over_before))
        ]
        if not found:
            return
        findings.closed.extend(_close(each) for each in found)


@repeated
def _close(each: _Open) -> CallLog:
    log, now = each.log, timezone.now()
    ending = {
        "status": CallStatus.FAILED,
        "end_time": now,
        "next_check_at": None,
        "error_code": "restored",
        "error_message": _MAY_HAVE_BEEN,
        "attention": "",
        "last_updated": now,
    }
    with atomic():
        _lock(each)
        for name, value in ending.items():
            setattr(log, name, value)
        if log._state.adding:
            log.save(force_insert=True)
        else:
            CallLog.objects.filter(pk=log.pk, status__in=_OPEN).update(**ending)
            wake_waiting_after(log)
        record(call_act("call.failed", log, None, reason=_MAY_HAVE_BEEN))
        announce_call("call.failed", log)
        _go_on(each)
    return log


def _lock(each: _Open) -> None:
    """Armed rows before logs, as everybody does."""
    if each.armed:
        arming.lock(each.armed)


def _go_on(each: _Open) -> None:
    """What follows is armed, and the schedule becomes what its rows say."""
    if each.armed:
        try:
            arming.consume(each.armed, after=each.armed.occurrence)
        except SchedulerFailure as error:
            ledger.pause_until_mended(each.armed.schedule, str(error))
    settle(each.schedule_id)


def _made_at(call: CallReport) -> datetime:
    return call.made_at or call.at
