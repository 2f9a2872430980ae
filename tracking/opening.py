"""Opens the ledger for the occurrences of a claim: in one transaction, before the carrier is asked.

A claim is handed out as one job a call. Where the jobs run in threads of the runner, the first that
comes opens the ledger for all of them, and the others find their row. Where they were handed to
workers, each opens what it has got, and what it has got at the same time together.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, IntegrityError
from django.db.models import Q, QuerySet
from django.utils import timezone

from polaris.compiled import compiled_select, compiled_write
from polaris.database import among, atomic, is_out_of_reach, renew_connection, sent_together
from polaris.errors import Unreadable
from polaris.inserting import insert_all
from polaris.privacy.fields import sealed_value
from polaris.privacy.lookup_state import require_current
from polaris.privacy.sealing import lookup_of
from polaris.repeating import repeated
from polaris.states import move
from schedules import claims, gate
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import DIALLABLE, ArmedStatus, ScheduleStatus
from tracking import ledger
from tracking.batches import Batches, Entry
from tracking.decisions import Decision, Dial, HandBack, Lost, decide, is_too_late
from tracking.models import CallLog
from tracking.states import CallStatus
from tracking.writers import write

# A broker's queue may hold up many for as long as one. Who comes later takes another slot.
_HELD_UP_SECONDS = 0.25
# For longer it would keep a thread from others.
_LONGEST_WAIT_FOR_A_SLOT = timedelta(seconds=1)


@dataclass(slots=True)
class Opening:
    """A claimed occurrence, what was decided of it, and its open log where it is dialled."""

    armed: ActiveSchedule
    decision: Decision
    log: CallLog | None = None


@dataclass(slots=True)
class Handed:
    """What a worker was told: an armed row, the claim that should hold it, when it may begin (in
    seconds since 1970), and whether it is the one call that a closed gate lets through."""

    armed_id: str
    lease: str
    begins_at: float = 0.0
    is_trial: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The row, and the claim that should hold it."""
        return self.armed_id, self.lease

    @property
    def is_held_up(self) -> bool:
        """Whether it has missed its slot on its way."""
        late = time.time() - self.begins_at
        return bool(settings.CALLS_PER_SECOND and self.begins_at) and late > _HELD_UP_SECONDS


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
                found = write(partial(_though_broken, partial(open_claim, lease)))
                self._openings = {**(self._openings or {}), **found}
            return self._openings.pop(armed_id, None)


class HandedOpenings(Batches[Handed, Opening]):
    """What a worker has been handed and opens, in one transaction what came at the same time."""

    def __init__(self) -> None:
        super().__init__(_open_batch)

    def take(self, handed: Handed) -> Opening | None:
        """The opening of that occurrence; None where its claim does not hold it any more, or it
        has been opened already."""
        return self.do(handed)


def _open_batch(batch: list[Entry[Handed, Opening]]) -> None:
    handed = [entry.item for entry in batch]
    opened = write(partial(_though_broken, partial(open_handed, handed)))
    for entry in batch:
        opening = opened.get(entry.item.armed_id)
        if opening and opening.armed.lease == entry.item.lease:
            # Of a message that was delivered twice the first finds it.
            entry.result = opened.pop(entry.item.armed_id)


class LateSlots(Batches[Handed, datetime]):
    """Other slots for what has missed its own: all that came at once would begin at once."""

    def __init__(self) -> None:
        super().__init__(_take_other_slots)

    def take(self, handed: Handed) -> datetime | None:
        """When it begins; None where that is not soon.

        Nothing is opened yet: meanwhile it can be paused, cancelled and changed, and whoever opens
        it then looks at the gate."""
        return self.do(handed)


def _take_other_slots(batch: list[Entry[Handed, datetime]]) -> None:
    now = timezone.now()
    held = write(partial(claims.still_held, [entry.item.key for entry in batch]))
    wanted = [entry for entry in batch if held.get(entry.item.key) == ArmedStatus.PENDING]
    if wanted:
        until = now + _LONGEST_WAIT_FOR_A_SLOT
        slots = write(partial(gate.take_late_slots, len(wanted), until=until))
        for entry, slot in zip(wanted, slots, strict=False):
            entry.result = slot
    for entry in batch:
        if entry not in wanted:  # whoever opens it finds nothing to dial
            entry.result = now


def _though_broken(opens: Callable[[], dict[str, Opening]]) -> dict[str, Opening]:
    """The connection may have been lost since it was last used: then on a new one."""
    try:
        return opens()
    except DatabaseError as error:
        if not is_out_of_reach(error):
            raise
        renew_connection()
        return opens()


def open_claim(lease: str) -> dict[str, Opening]:
    """Decide on the occurrences that a claim holds and has not begun, and open their ledger rows.

    By the armed row's id. Where two of them want the same number at once, one at a time is
    opened: who comes second finds the line taken."""
    return _open_together(partial(_claimed, lease))


def open_handed(handed: Sequence[Handed]) -> dict[str, Opening]:
    """As `open_claim`, for what a worker was handed, whosever claim it is.

    Whatever is not held by the claim that its message names, or is begun already, is not opened:
    a message may come late, or twice. What may not be dialled any more since it was claimed,
    because dialling has been stopped, is handed back."""
    messages = {each.key: each for each in handed}
    return _open_together(partial(_named, [each.armed_id for each in handed]), messages)


@compiled_select
def _claimed(lease: str) -> QuerySet[ActiveSchedule]:
    return _not_begun(ActiveSchedule.objects.filter(lease=lease))


@compiled_select
def _named(keys: list[str]) -> QuerySet[ActiveSchedule]:
    return _not_begun(ActiveSchedule.objects.filter(among("pk", keys)))


def _not_begun(rows: QuerySet[ActiveSchedule]) -> QuerySet[ActiveSchedule]:
    rows = rows.filter(status=ArmedStatus.PENDING).order_by("pk").select_for_update()
    return rows.defer("created_at", "last_updated", "next_execution", "waits_on")


Messages = Mapping[tuple[str, str], Handed]
# Reads claimed rows with their locks.
Find = Callable[[], list[ActiveSchedule]]


def _open_together(find: Find, messages: Messages | None = None) -> dict[str, Opening]:
    try:
        return _open_at_once(find, messages)
    except IntegrityError:
        opened: dict[str, Opening] = {}
        with atomic():
            held = find()
        for armed in held:
            opened |= _open_alone(partial(_still_held, armed), messages)
        return opened


def _still_held(armed: ActiveSchedule) -> list[ActiveSchedule]:
    return [found for found in _named([armed.pk]) if found.lease == armed.lease]


def _open_alone(find: Find, messages: Messages | None) -> dict[str, Opening]:
    try:
        return _open_at_once(find, messages)
    except IntegrityError:  # the line that was free a moment ago is now seen to be taken
        return _open_at_once(find, messages)


@repeated
def _open_at_once(find: Find, messages: Messages | None) -> dict[str, Opening]:
    with atomic():
        return _open(find, messages)


def _open(find: Find, messages: Messages | None = None) -> dict[str, Opening]:
    """Locks armed rows, logs and schedules in this order, as everybody does."""
    now = timezone.now()
    require_current()
    held = find()
    if messages is not None:
        held = [armed for armed in held if (armed.pk, armed.lease) in messages]
    existing = _logs_of(held)
    schedules = _lock_schedules(held)
    live = _LiveCalls(schedules.values())
    halt = gate.current().reason if any(is_too_late(armed, now) for armed in held) else ""
    passing = gate.look() if messages is not None else None
    openings = {}
    for armed in held:
        if armed.schedule_id not in schedules:
            openings[armed.pk] = Opening(armed, Lost())
            continue
        armed.schedule = schedules[armed.schedule_id]
        key = (armed.schedule_id, armed.occurrence, armed.attempt)
        concerning = live.concerning(armed.schedule)
        decision = decide(armed, existing=existing.get(key), live=concerning, now=now, halt=halt)
        if messages and passing and isinstance(decision, Dial):
            # It has passed the gate when it was claimed, a while ago.
            message = messages[armed.pk, armed.lease]
            if passing.bars(trial=message.is_trial):
                decision = HandBack()
        opening = openings[armed.pk] = Opening(armed, decision)
        if isinstance(decision, Dial):
            opening.log = _renewed(decision.deferred, armed, now) or ledger.new_row(armed, now=now)
            if messages is not None:  # a look-up goes by the moment at which it is asked for
                slot = datetime.fromtimestamp(messages[armed.pk, armed.lease].begins_at, UTC)
                opening.log.timestamp = max(opening.log.timestamp, slot)
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
    # From here on it has a whole lease, however long it has waited for its turn.
    leased_until = now + settings.SCHEDULER_LEASE
    with sent_together():
        _begin([each.armed.pk for each in dialled], now, leased_until)
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
        _run([each.armed.schedule_id for each in dialled], now)
    for each in dialled:
        each.armed.leased_until = leased_until
    for log in logs:
        log.status = CallStatus.PENDING


@compiled_write
def _begin(armed: list[str], now: datetime, leased_until: datetime) -> int:
    return ActiveSchedule.objects.filter(among("pk", armed)).update(
        status=ArmedStatus.RUNNING, last_updated=now, leased_until=leased_until
    )


@compiled_write
def _run(schedules: list[str], now: datetime) -> int:
    return move(
        CallSchedule.objects.filter(among("pk", schedules)),
        to=ScheduleStatus.RUNNING,
        sources=DIALLABLE,
        last_updated=now,
    )


def _logs_of(held: list[ActiveSchedule]) -> dict[tuple[str, datetime, int], CallLog]:
    """The logs of these very attempts, locked: rare, for most are opened for the first time."""
    moments = {armed.occurrence for armed in held}
    found = _existing([armed.schedule_id for armed in held], moments)
    return {
        (str(log.schedule_id), log.occurrence, log.attempt): log for log in found if log.occurrence
    }


@compiled_select
def _existing(schedules: list[str], moments: set[datetime]) -> QuerySet[CallLog]:
    logs = CallLog.objects.filter(among("schedule_id", schedules), among("occurrence", moments))
    return logs.order_by("pk").select_for_update()


def _lock_schedules(held: list[ActiveSchedule]) -> dict[str, CallSchedule]:
    found = _with_their_locks({armed.schedule_id for armed in held})
    locked = {schedule.pk: schedule for schedule in found}
    for schedule in locked.values():
        # One line per number holds by this hash: whoever wrote the row may have had another key.
        with suppress(Unreadable):
            schedule.phone_lookup = lookup_of(schedule.phone)
    return locked


@compiled_select
def _with_their_locks(schedules: set[str]) -> QuerySet[CallSchedule]:
    rows = CallSchedule.objects.filter(among("pk", schedules)).order_by("pk")
    return rows.defer("created_at", "last_updated").select_for_update()


@compiled_select
def _on_the_line(schedules: list[str], numbers: set[str]) -> QuerySet[CallLog]:
    """Calls of these schedules, and of ours to these numbers."""
    concerned = among("schedule_id", schedules)
    concerned |= among("phone_lookup", numbers) & Q(attempt__gt=0)
    rows = CallLog.objects.on_the_line().filter(concerned).order_by()
    return rows.only("schedule_id", "occurrence", "phone_lookup")


class _LiveCalls:
    """Calls that may be on the line: of some schedules, or to their numbers."""

    def __init__(self, schedules: Iterable[CallSchedule]) -> None:
        self._of_schedule: dict[str, list[CallLog]] = defaultdict(list)
        self._to_number: dict[str, list[CallLog]] = defaultdict(list)
        schedules = list(schedules)
        keys, numbers = [each.pk for each in schedules], {each.phone_lookup for each in schedules}
        for log in _on_the_line(keys, numbers):
            self.add(log)

    def add(self, log: CallLog) -> None:
        """One that has just been opened."""
        self._of_schedule[str(log.schedule_id)].append(log)
        self._to_number[log.phone_lookup].append(log)

    def concerning(self, schedule: CallSchedule) -> list[CallLog]:
        """Those that may stand in the way of its call."""
        return [*self._of_schedule[schedule.pk], *self._to_number[schedule.phone_lookup]]
