"""Claims: how runners share what is due, so that each occurrence is held by one at a time.

A claim is a lease. It ends when its occurrence has been dealt with or given back, and by itself
when the runner that holds it has died.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone

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


def claim_due(*, runner_id: str, moment: datetime, limit: int, lease: timedelta) -> Claims:
    """Claim at most `limit` occurrences due at `moment` or just after it, earliest first.

    No more than the gate admits; what is too late to be dialled passes it freely, and what a dead
    runner has begun to dial, for these are only written down. No other runner gets them before
    `lease` has passed."""
    ticket = new_id("lease")
    claims = _claim(ticket, runner_id, moment, limit, lease)
    if is_mongodb():
        # No lock was held between the choice and the lease: what others took meanwhile is theirs.
        ours = set(ActiveSchedule.objects.filter(lease=ticket).values_list("pk", flat=True))
        claims[:] = [armed for armed in claims if armed.pk in ours]
    try:
        # After the claim's own transaction, so that locks are always taken in the same order.
        _tell_schedules([armed.schedule_id for armed in claims])
    except DatabaseError:
        _release(ActiveSchedule.objects.filter(lease=ticket))
        raise
    return claims


@repeated
def _claim(ticket: str, runner_id: str, moment: datetime, limit: int, lease: timedelta) -> Claims:
    claims = Claims()
    with atomic():
        admission = gate.admit(moment, limit)
        claims.extend(_choose(moment, admission.places))
        if admission.places < limit:
            claims.look_again = admission.look_again
        claims.extend(_choose_undialled(moment, limit - len(claims)))
        if not claims:
            return claims
        for armed in claims:
            is_dialled = armed.due_at >= _too_late_since(moment) and not _is_begun(armed)
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
    due = ActiveSchedule.objects.due(moment + LEAD, free_at=moment)
    in_time = due.filter(due_at__gte=_too_late_since(moment))
    return _locked(in_time.exclude(status=ArmedStatus.RUNNING), limit)


def _choose_undialled(moment: datetime, limit: int) -> list[ActiveSchedule]:
    is_too_late = Q(due_at__lt=_too_late_since(moment))
    is_begun = Q(status=ArmedStatus.RUNNING)
    return _locked(ActiveSchedule.objects.due(moment).filter(is_too_late | is_begun), limit)


def _is_begun(armed: ActiveSchedule) -> bool:
    """Whether it has a ledger row already: whoever opened it has died."""
    return armed.status == ArmedStatus.RUNNING


def _too_late_since(moment: datetime) -> datetime:
    """What was due before is not dialled any more; it is only written down as missed."""
    return moment - timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)


def _locked(rows: QuerySet[ActiveSchedule], limit: int) -> list[ActiveSchedule]:
    if limit < 1:
        return []
    rows = rows.in_order()  # type: ignore[attr-defined]
    if can_skip_locked():
        rows = rows.select_for_update(skip_locked=True)
    return list(rows.defer(*_NOT_LOOKED_AT)[:limit])


def _lease(
    chosen: list[ActiveSchedule], ticket: str, runner_id: str, moment: datetime, lease: timedelta
) -> None:
    held = {
        "status": ArmedStatus.PENDING,
        "lease": ticket,
        "leased_until": moment + lease,
        "runner_id": runner_id,
        "last_updated": timezone.now(),
    }
    rows = ActiveSchedule.objects.filter(among("pk", [armed.pk for armed in chosen]))
    rows.free(moment).update(**held)
    for armed in chosen:
        for name, value in held.items():
            setattr(armed, name, value)


def _release(held: QuerySet[ActiveSchedule]) -> int:
    return held.update(status=ArmedStatus.SCHEDULED, last_updated=timezone.now(), **RELEASED)


@repeated
def _tell_schedules(claimed: list[str]) -> None:
    if claimed:
        move(
            CallSchedule.objects.filter(among("pk", claimed)),
            to=ScheduleStatus.PENDING,
            sources={ScheduleStatus.SCHEDULED},
        )
