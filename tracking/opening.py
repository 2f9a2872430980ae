"""Opens the ledger for the occurrences of a claim: in one transaction, before the carrier is asked.

A claim is handed out as one job a call, and the jobs run in threads: the first that comes opens
the ledger for all of them, the others find their row.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import IntegrityError, OperationalError
from django.db.models import Q, QuerySet
from django.utils import timezone

from polaris.database import among, atomic, renew_connection, sent_together
from polaris.errors import Unreadable
from polaris.inserting import insert_all
from polaris.privacy.fields import sealed_value
from polaris.privacy.lookup_state import require_current
from polaris.privacy.sealing import lookup_of
from polaris.states import move
from schedules import gate
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import DIALLABLE, ArmedStatus, ScheduleStatus
from tracking import ledger
from tracking.decisions import Decision, Dial, Lost, decide, is_too_late
from tracking.models import CallLog
from tracking.states import CallStatus
from tracking.writers import write


@dataclass(slots=True)
class Opening:
    """A claimed occurrence, what was decided of it, and its open log where it is dialled."""

    armed: ActiveSchedule
    decision: Decision
    log: CallLog | None = None


class Openings:
    """The claims of a process whose ledger rows are being opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: dict[str, _Shared] = {}

    def take(self, armed_id: str, lease: str) -> Opening | None:
        """The opening of that occurrence; None where the claim does not hold it any more."""
        with self._lock:
            shared = self._shared.setdefault(lease, _Shared())
        try:
            return shared.take(armed_id, lease)
        finally:
            with self._lock:
                if shared.is_spent:
                    self._shared.pop(lease, None)


class _Shared:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._openings: dict[str, Opening] | None = None

    @property
    def is_spent(self) -> bool:
        return not self._openings

    def take(self, armed_id: str, lease: str) -> Opening | None:
        with self._lock:
            if self._openings is None or armed_id not in self._openings:
                found = write(partial(_open_claim_though_broken, lease))
                self._openings = {**(self._openings or {}), **found}
            return self._openings.pop(armed_id, None)


def _open_claim_though_broken(lease: str) -> dict[str, Opening]:
    """The connection may have been lost since it was last used: then on a new one."""
    try:
        return open_claim(lease)
    except OperationalError:
        renew_connection()
        return open_claim(lease)


def open_claim(lease: str) -> dict[str, Opening]:
    """Decide on the occurrences that a claim holds and has not begun, and open their ledger rows.

    By the armed row's id. Where two of them want the same number at once, one at a time is
    opened: who comes second finds the line taken."""
    try:
        with atomic():
            return _open(_held(lease))
    except IntegrityError:
        held = list(_held(lease).values_list("pk", flat=True))
        opened: dict[str, Opening] = {}
        for armed_id in held:
            opened |= _open_alone(lease, armed_id)
        return opened


def _open_alone(lease: str, armed_id: str) -> dict[str, Opening]:
    try:
        with atomic():
            return _open(_held(lease).filter(pk=armed_id))
    except IntegrityError:
        with atomic():  # the line that was free a moment ago is now seen to be taken
            return _open(_held(lease).filter(pk=armed_id))


def _held(lease: str) -> QuerySet[ActiveSchedule]:
    rows = ActiveSchedule.objects.filter(lease=lease, status=ArmedStatus.PENDING)
    return rows.order_by("pk").defer("created_at", "last_updated", "next_execution", "waits_on")


def _open(rows: QuerySet[ActiveSchedule]) -> dict[str, Opening]:
    """Locks armed rows, logs and schedules in this order, as everybody does."""
    now = timezone.now()
    require_current()
    held = list(rows.select_for_update())
    existing = _logs_of(held)
    schedules = _lock_schedules(held)
    live = _LiveCalls(schedules.values())
    halt = gate.current().reason if any(is_too_late(armed, now) for armed in held) else ""
    openings = {}
    for armed in held:
        if armed.schedule_id not in schedules:
            openings[armed.pk] = Opening(armed, Lost())
            continue
        armed.schedule = schedules[armed.schedule_id]
        key = (armed.schedule_id, armed.occurrence, armed.attempt)
        concerning = live.concerning(armed.schedule)
        decision = decide(armed, existing=existing.get(key), live=concerning, now=now, halt=halt)
        opening = openings[armed.pk] = Opening(armed, decision)
        if isinstance(decision, Dial):
            opening.log = _renewed(decision.deferred, armed, now) or ledger.new_row(armed, now=now)
            live.add(opening.log)
    _write([opening for opening in openings.values() if opening.log], now)
    return openings


def _renewed(deferred: CallLog | None, armed: ActiveSchedule, now: datetime) -> CallLog | None:
    """An attempt that is asked for again: now, and at the number that its schedule has now.

    A look-up goes by this time; by that of a refusal it would give the carrier's list no time."""
    if deferred is not None:
        deferred.schedule, deferred.phone = armed.schedule, sealed_value(armed.schedule, "phone")
        deferred.phone_lookup = armed.schedule.phone_lookup
        deferred.timestamp = max(now, armed.due_at)
    return deferred


def _write(dialled: list[Opening], now: datetime) -> None:
    if not dialled:
        return
    logs = [each.log for each in dialled if each.log]
    # In one order, so that two claims that want the same numbers form no circle.
    new = sorted((log for log in logs if log._state.adding), key=lambda log: log.phone_lookup)
    again = [log for log in logs if not log._state.adding]
    with sent_together():
        ActiveSchedule.objects.filter(among("pk", [each.armed.pk for each in dialled])).update(
            status=ArmedStatus.RUNNING, last_updated=now
        )
        insert_all(new)
        for log in again:
            move(
                CallLog.objects.filter(pk=log.pk),
                to=CallStatus.PENDING,
                sources={CallStatus.DEFERRED},
                phone=sealed_value(log, "phone"),
                phone_lookup=log.phone_lookup,
                timestamp=log.timestamp,
            )
        move(
            CallSchedule.objects.filter(among("pk", [each.armed.schedule_id for each in dialled])),
            to=ScheduleStatus.RUNNING,
            sources=DIALLABLE,
        )
    for log in logs:
        log.status = CallStatus.PENDING


def _logs_of(held: list[ActiveSchedule]) -> dict[tuple[str, datetime, int], CallLog]:
    """The logs of these very attempts, locked: rare, for most are opened for the first time."""
    logs = CallLog.objects.filter(
        among("schedule_id", [armed.schedule_id for armed in held]),
        occurrence__in={armed.occurrence for armed in held},
    )
    return {
        (str(log.schedule_id), log.occurrence, log.attempt): log
        for log in logs.order_by("pk").select_for_update()
        if log.occurrence
    }


def _lock_schedules(held: list[ActiveSchedule]) -> dict[str, CallSchedule]:
    rows = CallSchedule.objects.filter(among("pk", {armed.schedule_id for armed in held}))
    rows = rows.defer("created_at", "last_updated").order_by("pk")
    locked = {schedule.pk: schedule for schedule in rows.select_for_update()}
    for schedule in locked.values():
        # One line per number holds by this hash: whoever wrote the row may have had another key.
        with suppress(Unreadable):
            schedule.phone_lookup = lookup_of(schedule.phone)
    return locked


class _LiveCalls:
    """Calls that may be on the line: of some schedules, or to their numbers."""

    def __init__(self, schedules: Iterable[CallSchedule]) -> None:
        self._of_schedule: dict[str, list[CallLog]] = defaultdict(list)
        self._to_number: dict[str, list[CallLog]] = defaultdict(list)
        schedules = list(schedules)
        concerned = among("schedule_id", [schedule.pk for schedule in schedules]) | (
            among("phone_lookup", {schedule.phone_lookup for schedule in schedules})
            & Q(attempt__gt=0)
        )
        rows = CallLog.objects.on_the_line().filter(concerned)
        for log in rows.only("schedule_id", "occurrence", "phone_lookup"):
            self.add(log)

    def add(self, log: CallLog) -> None:
        """One that has just been opened."""
        self._of_schedule[str(log.schedule_id)].append(log)
        self._to_number[log.phone_lookup].append(log)

    def concerning(self, schedule: CallSchedule) -> list[CallLog]:
        """Those that may stand in the way of its call."""
        return [*self._of_schedule[schedule.pk], *self._to_number[schedule.phone_lookup]]
