"""Claims: how runners share what is due, so that each occurrence is held by one at a time.

A claim is a lease. It ends when its occurrence has been dealt with or given back, and by itself
when the runner that holds it has died.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from polaris.compiled import compiled_select, compiled_write
from polaris.database import among, atomic, can_skip_locked, is_mongodb
from polaris.ids import new_id
from polaris.repeating import repeated
from polaris.states import move
from schedules import gate
from schedules.arming import RELEASED
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import ArmedStatus, ScheduleStatus
from schedules.waking import wake_runners

# Rows are claimed and their ledger opened so long before they are due, then dialled on time. It is
# no multiple of 10 ms: of calls at most even intervals none is claimed while another is dialled.
LEAD = timedelta(milliseconds=125)
# Of a row that is claimed: a moment takes longer to read than all the rest of it.
_NOT_LOOKED_AT = ("created_at", "last_updated", "leased_until", "waits_for", "waits_on")


class Claims(list[ActiveSchedule]):
    """Claimed occurrences, each with the moment at which it `begins_at`.

    `look_again` says when the gate may let more through; None where it holds nothing back."""

    look_again: datetime | None = None


def claim_due(
    *,
    runner_id: str,
    moment: datetime,
    limit: int,
    lease: timedelta,
    are_queued: bool = True,
    looks_back: bool = True,
) -> Claims:
    """Claim at most `limit` occurrences due at `moment` or just after it, earliest first.

    No more than the gate admits. Who `looks_back` claims what is too late to be dialled, too, and
    what a dead runner has begun to dial: these pass freely, for they are only written down. No
    other runner gets any of them before `lease` has passed. Where they `are_queued` until somebody
    takes them their schedules are pending meanwhile; a thread that is free begins at once."""
    ticket = new_id("lease")
    claims = _claim(ticket, runner_id, moment, limit, lease, looks_back=looks_back)
    _leave_to_others(claims, ticket)
    if not are_queued:
        return claims
    try:
        # After the claim's own transaction, so that locks are always taken in the same order.
        _tell_schedules([armed.schedule_id for armed in claims])
    except DatabaseError:
        _release(ActiveSchedule.objects.filter(lease=ticket))
        raise
    return claims


def claim_undialled(
    *, runner_id: str, moment: datetime, limit: int, lease: timedelta
) -> list[ActiveSchedule]:
    """Claim at most `limit` occurrences that are only written down: what is too late to be dialled,
    and what a dead runner or worker has begun to dial. The gate has no part in it."""
    ticket = new_id("lease")
    claims = _claim_undialled(ticket, runner_id, moment, limit, lease)
    _leave_to_others(claims, ticket)
    return claims


def _leave_to_others(claims: list[ActiveSchedule], ticket: str) -> None:
    """Without locks between the choice and the lease: what others took meanwhile is theirs."""
    if is_mongodb():
        ours = set(ActiveSchedule.objects.filter(lease=ticket).values_list("pk", flat=True))
        claims[:] = [armed for armed in claims if armed.pk in ours]


@repeated
def _claim_undialled(
    ticket: str, runner_id: str, moment: datetime, limit: int, lease: timedelta
) -> list[ActiveSchedule]:
    with atomic():
        chosen = _choose_undialled(moment, limit)
        if chosen:
            _lease(chosen, ticket, runner_id, moment, lease)
    return chosen


@repeated
def _claim(
    ticket: str,
    runner_id: str,
    moment: datetime,
    limit: int,
    lease: timedelta,
    *,
    looks_back: bool,
) -> Claims:
    claims = Claims()
    with atomic():
        admission = gate.admit(moment, limit)
        claims.extend(_choose(moment, admission.places))
        if admission.places < limit:
            claims.look_again = admission.look_again
        if looks_back:
            claims.extend(_choose_undialled(moment, limit - len(claims)))
        if not claims:
            return claims
        for armed in claims:
            is_dialled = armed.due_at >= too_late_since(moment) and not _is_begun(armed)
            armed.begins_at = admission.take(armed.due_at) if is_dialled else moment
        _lease(claims, ticket, runner_id, moment, lease)
        gate.note(admission)
    return claims


def give_back(*, runner_id: str) -> int:
    """Return what a stopping runner holds but has not begun to dial; says how many."""
    return _give_back(ActiveSchedule.objects.filter(runner_id=runner_id))


def give_back_these(held: Collection[tuple[str, str]]) -> int:
    """Return some of what was claimed, each with its lease, and not begun; says how many."""
    return _give_back(_of(held))


def renew(held: Collection[tuple[str, str]], lease: timedelta) -> int:
    """Let the claims on what is not begun last for another `lease`; says how many still did."""
    rows = _of(held).filter(status=ArmedStatus.PENDING)
    return rows.update(leased_until=timezone.now() + lease)


def still_held(held: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Those of them that their claims still hold, not run out, each with its status."""
    rows = _of(held).claimed(timezone.now())  # type: ignore[attr-defined]
    found = rows.values_list("pk", "lease", "status")
    return {(armed_id, lease): status for armed_id, lease, status in found}


def _of(held: Collection[tuple[str, str]]) -> QuerySet[ActiveSchedule]:
    """A lease is one claim of one runner: a row found by another one's is of the same runner."""
    return ActiveSchedule.objects.filter(
        among("pk", [armed_id for armed_id, _ in held]), lease__in={lease for _, lease in held}
    )


def _give_back(held: QuerySet[ActiveSchedule]) -> int:
    held = held.leased().filter(status=ArmedStatus.PENDING)  # type: ignore[attr-defined]
    schedules = list(held.values_list("schedule_id", flat=True))
    returned = _release(held)
    move(
        CallSchedule.objects.filter(pk__in=schedules),
        to=ScheduleStatus.SCHEDULED,
        sources={ScheduleStatus.PENDING},
    )
    if returned:
        wake_runners(due=timezone.now())
    return returned


def _choose(moment: datetime, limit: int) -> list[ActiveSchedule]:
    if limit < 1:
        return []
    return _in_time(moment + LEAD, moment, too_late_since(moment), limit=limit)


def _choose_undialled(moment: datetime, limit: int) -> list[ActiveSchedule]:
    """Each kind by an index of its own: none walks through what is due and in time, which may be
    very much after an outage."""
    if limit < 1:
        return []
    chosen = _begun(moment, limit=limit)
    for look in (_too_late, _put_off_too_long):
        if len(chosen) < limit:
            chosen += look(moment, too_late_since(moment), limit=limit - len(chosen))
    return chosen


@compiled_select
def _in_time(
    until: datetime, moment: datetime, too_late_since: datetime, *, limit: int
) -> QuerySet[ActiveSchedule]:
    # Nothing is looked at before it is due. The bound is for the index on next_execution, which
    # keeps the entries of what was dialled until the next vacuum.
    due = ActiveSchedule.objects.due(until, free_at=moment).filter(
        next_execution__gte=too_late_since, due_at__gte=too_late_since
    )
    return _locked(due.exclude(status=ArmedStatus.RUNNING), limit)


@compiled_select
def _begun(moment: datetime, *, limit: int) -> QuerySet[ActiveSchedule]:
    begun = ActiveSchedule.objects.leased().filter(status=ArmedStatus.RUNNING)
    return _locked(begun.filter(leased_until__lt=moment), limit)


@compiled_select
def _too_late(
    moment: datetime, too_late_since: datetime, *, limit: int
) -> QuerySet[ActiveSchedule]:
    due = ActiveSchedule.objects.free(moment).filter(
        next_execution__lt=too_late_since, due_at__lt=too_late_since
    )
    return _locked(due.exclude(status=ArmedStatus.RUNNING), limit)


@compiled_select
def _put_off_too_long(
    moment: datetime, too_late_since: datetime, *, limit: int
) -> QuerySet[ActiveSchedule]:
    """What is looked at after it was due says what it waits for."""
    waiting = ActiveSchedule.objects.due(moment).filter(
        waits_for__gt="", due_at__lt=too_late_since, next_execution__gte=too_late_since
    )
    return _locked(waiting.exclude(status=ArmedStatus.RUNNING), limit)


def _is_begun(armed: ActiveSchedule) -> bool:
    """Whether it has a ledger row already: whoever opened it has died."""
    return armed.status == ArmedStatus.RUNNING


def too_late_since(moment: datetime) -> datetime:
    """What was due before is not dialled any more; it is only written down as missed."""
    return moment - timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)


def _locked(rows: QuerySet[ActiveSchedule], limit: int) -> QuerySet[ActiveSchedule]:
    rows = rows.in_order()  # type: ignore[attr-defined]
    if can_skip_locked():
        rows = rows.select_for_update(skip_locked=True)
    return rows.defer(*_NOT_LOOKED_AT)[:limit]


def _lease(
    chosen: list[ActiveSchedule], ticket: str, runner_id: str, moment: datetime, lease: timedelta
) -> None:
    until = moment + lease
    _hold([armed.pk for armed in chosen], moment, ticket, until, runner_id, timezone.now())
    for armed in chosen:
        armed.status, armed.lease, armed.runner_id = ArmedStatus.PENDING, ticket, runner_id
        armed.leased_until = until


@compiled_write
def _hold(
    keys: list[str],
    moment: datetime,
    ticket: str,
    until: datetime,
    runner_id: str,
    now: datetime,
) -> int:
    rows = ActiveSchedule.objects.filter(among("pk", keys)).free(moment)
    return rows.update(
        status=ArmedStatus.PENDING,
        lease=ticket,
        leased_until=until,
        runner_id=runner_id,
        last_updated=now,
    )


def _release(held: QuerySet[ActiveSchedule]) -> int:
    return held.update(status=ArmedStatus.SCHEDULED, last_updated=timezone.now(), **RELEASED)


@repeated
def _tell_schedules(claimed: list[str]) -> None:
    if claimed:
        _become_pending(claimed, timezone.now())


@compiled_write
def _become_pending(schedules: list[str], now: datetime) -> int:
    return move(
        CallSchedule.objects.filter(among("pk", schedules)),
        to=ScheduleStatus.PENDING,
        sources={ScheduleStatus.SCHEDULED},
        last_updated=now,
    )
