"""The gate that every claim passes, one row shared by all runners.

It keeps the pace of dialling and the number of calls at a time, and it is closed while the carrier
takes no calls at all: then one call is tried now and again, and the gate opens when it is taken.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from polaris.audit.changes import Changes
from polaris.audit.recording import Act, record
from polaris.compiled import compiled_select, compiled_write
from polaris.database import atomic, is_mongodb, touch
from polaris.events import publish
from polaris.moments import show_utc
from polaris.repeating import repeated
from schedules.models import Gate
from schedules.waking import wake_runners

# Slots are given out so far ahead: few claims, and still no two calls closer than the pace.
HORIZON = timedelta(milliseconds=50)
_LONGEST_WAIT = timedelta(minutes=10)


@dataclass(slots=True)
class _Seen:
    is_closed: bool = False


_seen = _Seen()


@dataclass(slots=True)
class Admission:
    """What may be claimed now: so many calls in time, and when each of them may begin."""

    places: int
    next_slot: datetime
    spacing: timedelta = timedelta()
    is_probe: bool = False
    look_again: datetime | None = None
    taken: int = field(default=0, init=False)

    def take(self, due_at: datetime) -> datetime:
        """When the next claimed call, due then, begins."""
        begins_at = max(self.next_slot, due_at)
        self.next_slot = begins_at + self.spacing
        self.taken += 1
        return begins_at


def admit(moment: datetime, wanted: int) -> Admission:
    """How many of `wanted` calls may be claimed. Locks the gate until the transaction ends.

    `look_again` says when more may be, where that is known."""
    gate = _locked() if _is_shared() else _gate()
    _seen.is_closed = gate.closed_since is not None
    if _seen.is_closed:
        return _probe(gate, moment)
    places = wanted
    if settings.MAX_CONCURRENT_CALLS:
        count = import_string(settings.SCHEDULER_CALLS_AT_A_TIME)
        places = min(places, max(0, settings.MAX_CONCURRENT_CALLS - count(moment)))
    if not settings.CALLS_PER_SECOND:
        return Admission(places, next_slot=moment)
    spacing = timedelta(seconds=1 / settings.CALLS_PER_SECOND)
    first = max(gate.next_slot or moment, moment)
    slots = (moment + HORIZON - first) // spacing + 1
    return Admission(min(places, max(0, slots)), first, spacing=spacing, look_again=first - HORIZON)


def note(admission: Admission) -> None:
    """Write down what has been claimed of an admission, in the transaction that claimed it."""
    if not admission.taken:
        return
    gate = Gate.objects.filter(pk=Gate.CALLS)
    if admission.is_probe:
        waited = settings.DIALLING_PROBE_SECONDS * 2 ** min(gate.get().probes + 1, 10)
        wait = min(timedelta(seconds=waited), _LONGEST_WAIT)
        gate.update(probe_at=admission.next_slot + wait, probes=F("probes") + 1)
    elif admission.spacing:
        _give_slots_until(admission.next_slot)


def take_late_slot(*, until: datetime) -> datetime | None:
    """When a claimed call may begin that has missed its own slot; None where not before `until`."""
    return next(iter(take_late_slots(1, until=until)), None)


def take_late_slots(count: int, *, until: datetime) -> list[datetime]:
    """When `count` claimed calls may begin that have missed their own slots: fewer where some could
    not before `until`."""
    spacing = timedelta(seconds=1 / settings.CALLS_PER_SECOND)
    while (moment := timezone.now()) < until:
        taken = _gate().next_slot
        first = max(taken or moment, moment)
        if first >= until:
            break
        number = min(count, (until - first) // spacing + 1)
        same = Gate.objects.filter(pk=Gate.CALLS, next_slot=taken)
        if same.update(next_slot=first + number * spacing):
            return [first + place * spacing for place in range(number)]
    return []


def give_back() -> None:
    """The call that was to be tried is not dialled after all: another one is tried instead."""
    if _seen.is_closed:
        tried = Gate.objects.filter(pk=Gate.CALLS, closed_by="", probes__gt=0)
        now = timezone.now()
        if tried.exclude(closed_since=None).update(probe_at=now, probes=F("probes") - 1):
            wake_runners(due=now)


def was_closed() -> bool:
    """Whether this process found it closed when it looked last: then its calls are trials.

    A runner looks when it claims, a worker when it opens what it was handed (`look`)."""
    return _seen.is_closed


def look() -> Gate:
    """The gate as it is now, for a process that dials what others have claimed."""
    gate = current()
    _seen.is_closed = gate.closed_since is not None
    return gate


def current() -> Gate:
    """The gate as it is now; one that was never written is open."""
    return Gate.objects.filter(pk=Gate.CALLS).first() or Gate()


def is_open() -> bool:
    """Whether calls may be placed, as far as the gate goes."""
    return current().closed_since is None


@repeated
def close(reason: str, *, by: str = "") -> bool:
    """Stop dialling; says whether it was open until now.

    One closed by an operator (`by`) opens by an operator alone, any other by a probe, too."""
    _gate()
    with atomic():
        return _close(reason, by)


def _close(reason: str, by: str) -> bool:
    moment = timezone.now()
    first_probe = None if by else moment + timedelta(seconds=settings.DIALLING_PROBE_SECONDS)
    closing = {"reason": reason, "closed_by": by}
    open_gate = Gate.objects.filter(pk=Gate.CALLS, closed_since=None)
    if open_gate.update(closed_since=moment, probe_at=first_probe, probes=0, **closing):
        record(_act("close", {"state": ("open", "closed")}, reason))
        publish("dialling.paused", reason=reason, by=by, since=show_utc(moment))
        return True
    closed = Gate.objects.filter(pk=Gate.CALLS)
    if by:
        was = current()
        closed.update(probe_at=None, **closing)
        record(_act("close", {"closed_by": (was.closed_by, by)}, reason))
    else:
        closed.filter(closed_by="").update(reason=reason)
    return False


@repeated
def reopen(*, by: str = "") -> bool:
    """Dial again; says whether the gate was closed. Without `by` only what no operator closed."""
    gate = Gate.objects.filter(pk=Gate.CALLS).exclude(closed_since=None)
    if not by:
        gate = gate.filter(closed_by="")
    with atomic():
        opened = gate.update(closed_since=None, probe_at=None, probes=0, reason="", closed_by="")
        if opened:
            record(_act("open", {"state": ("closed", "open")}))
            publish("dialling.resumed", by=by)
            wake_runners(due=timezone.now())
    return bool(opened)


def _act(what: str, changes: Changes, reason: str = "") -> Act:
    return Act(f"gate.{what}", "gate", Gate.CALLS, changes=changes, reason=reason)


def _is_shared() -> bool:
    return bool(settings.CALLS_PER_SECOND or settings.MAX_CONCURRENT_CALLS)


def _gate() -> Gate:
    gate, _ = Gate.objects.get_or_create(pk=Gate.CALLS)
    return gate


def _locked() -> Gate:
    if is_mongodb() and settings.MAX_CONCURRENT_CALLS:
        # The calls in hand are counted, and the gate itself may stay as it is.
        touch(Gate.objects.filter(pk=Gate.CALLS))
    found = _with_its_lock()
    if not found:  # the first claim of all: others may be making it at this moment, too
        _gate()
        found = _with_its_lock()
    return found[0]


@compiled_select
def _with_its_lock() -> QuerySet[Gate]:
    return Gate.objects.filter(pk=Gate.CALLS).select_for_update()


@compiled_write
def _give_slots_until(next_slot: datetime) -> int:
    return Gate.objects.filter(pk=Gate.CALLS).update(next_slot=next_slot)


def _probe(gate: Gate, moment: datetime) -> Admission:
    if gate.probe_at is None or gate.probe_at > moment:
        return Admission(0, next_slot=moment, look_again=gate.probe_at)
    gate = _locked()  # one runner probes
    is_due = gate.closed_since and gate.probe_at and gate.probe_at <= moment
    return Admission(int(bool(is_due)), next_slot=moment, is_probe=True)
