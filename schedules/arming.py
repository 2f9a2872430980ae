"""Arms the next call of a schedule: the rows that the job store reads."""

from collections.abc import Collection
from datetime import UTC, datetime

from django.db.models import F, QuerySet
from django.utils import timezone

from polaris.compiled import compiled_select, compiled_write
from polaris.database import among, touch
from polaris.errors import SchedulerFailure
from polaris.inserting import write_each
from polaris.repeating import repeated
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import FINAL, ArmedStatus, ScheduleStatus
from schedules.waking import wake_runners

# The columns of a row that nobody holds.
RELEASED: dict[str, object] = {"leased_until": None, "lease": "", "runner_id": ""}


def upcoming(of: CallSchedule | ActiveSchedule, *, after: datetime) -> datetime | None:
    """The schedule's first occurrence strictly later than `after`, in UTC."""
    try:
        return of.timetable.next(after)
    except ValueError as error:
        raise SchedulerFailure(f"The next call cannot be computed: {error}") from error


def arm(schedule: CallSchedule, *, occurrence: datetime) -> None:
    """Arm `occurrence` as the schedule's next call, in place of what its rule had armed."""
    changed = ActiveSchedule.objects.filter(
        schedule=schedule, origin=ActiveSchedule.Origin.RULE
    ).update(**_armed_at(occurrence))
    if not changed:
        ActiveSchedule.objects.create(
            schedule=schedule,
            occurrence=occurrence,
            next_execution=occurrence,
            due_at=occurrence,
        )
    wake_runners(due=occurrence)


def lock(armed: ActiveSchedule) -> None:
    """Take the row's lock first, as every writer does, so that two of them form no circle."""
    touch(ActiveSchedule.objects.filter(pk=armed.pk), last_updated=timezone.now())


def put_off(armed: ActiveSchedule, *, until: datetime, reason: str, **more: object) -> bool:
    """Release a claimed row to be looked at again later; says whether the claim was still ours.

    It keeps the time that it is due at, and says in words what it waits for."""
    held = ActiveSchedule.objects.filter(pk=armed.pk, lease=armed.lease)
    is_ours = held.update(
        status=ArmedStatus.SCHEDULED,
        next_execution=until,
        waits_for=reason,
        last_updated=timezone.now(),
        **RELEASED,
        **more,
    )
    if is_ours:
        wake_runners(due=until)
    return bool(is_ours)


def arm_retry(schedule_id: str, *, occurrence: datetime, attempt: int, due_at: datetime) -> None:
    """Arm a further attempt of an occurrence, beside what the rule has armed."""
    ActiveSchedule.objects.create(
        schedule_id=schedule_id,
        origin=ActiveSchedule.Origin.RETRY,
        occurrence=occurrence,
        attempt=attempt,
        due_at=due_at,
        next_execution=due_at,
    )
    wake_runners(due=due_at)


@repeated
def wake_waiting(log_id: str) -> None:
    """What waited for the end of that call is looked at now."""
    now = timezone.now()
    waiting = ActiveSchedule.objects.waiting_on(log_id).exclude(next_execution=None)
    # Hardly any call is waited for, and on SQLite even an update of nothing waits to be the writer.
    if waiting.exists() and waiting.update(next_execution=now, waits_on=""):
        wake_runners(due=now)


def put_away(armed: ActiveSchedule) -> None:
    """A row that was armed while its schedule was being cancelled or paused is not due again."""
    held = ActiveSchedule.objects.filter(pk=armed.pk, lease=armed.lease)
    statuses = CallSchedule.objects.filter(pk=armed.schedule_id).values_list("status", flat=True)
    status = statuses.first()
    if status is None or status in FINAL:  # for good: none of these is ever left
        held.delete()
    elif status == ScheduleStatus.PAUSED:
        held.update(**_suspended())


def comes_again(armed: ActiveSchedule) -> bool:
    """Whether its rule may arm another occurrence after it."""
    return armed.origin == ActiveSchedule.Origin.RULE and armed.schedule.is_recurring


def consume_together(claimed: Collection[ActiveSchedule]) -> None:
    """As `consume`, each after its own occurrence: those that end in one statement, those that come
    again in another."""
    following = {
        armed.pk: upcoming(armed, after=armed.occurrence) if comes_again(armed) else None
        for armed in claimed
    }
    _remove([armed for armed in claimed if following[armed.pk] is None])
    again = [armed for armed in claimed if following[armed.pk] is not None]
    if not again:
        return
    held = set(_with_their_locks(*_named(again)))
    moved = [
        ActiveSchedule(id=key, schedule_id="", **_armed_at(moment))
        for key, moment in following.items()
        if moment and key in held
    ]
    write_each(moved, _REARMED)
    if moved:
        wake_runners(due=min(armed.due_at for armed in moved))


def _remove(claimed: Collection[ActiveSchedule]) -> None:
    """Claimed rows that have been dealt with, and that nothing follows; lost claims stay."""
    if claimed:
        _delete(*_named(claimed))


def _named(claimed: Collection[ActiveSchedule]) -> tuple[list[str], list[str]]:
    return [armed.pk for armed in claimed], [*{armed.lease for armed in claimed}]


@compiled_select
def _with_their_locks(keys: list[str], leases: list[str]) -> QuerySet[ActiveSchedule, str]:
    return _held(keys, leases).order_by("pk").select_for_update().values_list("pk", flat=True)


@compiled_write
def _delete(keys: list[str], leases: list[str]) -> tuple[int, dict[str, int]]:
    return _held(keys, leases).delete()


def _held(keys: list[str], leases: list[str]) -> QuerySet[ActiveSchedule]:
    """These rows, but for those whose claim was lost meanwhile."""
    return ActiveSchedule.objects.filter(among("pk", keys), among("lease", leases))


def consume(armed: ActiveSchedule, *, after: datetime) -> datetime | None:
    """The claimed occurrence has been dealt with: arm the first one later than `after`.

    The row goes where nothing follows. Changes nothing where the claim was lost meanwhile (to a
    pause, a cancellation or another runner). Returns the next occurrence, if there is one."""
    following = upcoming(armed.schedule, after=after) if comes_again(armed) else None
    held = ActiveSchedule.objects.filter(pk=armed.pk, lease=armed.lease)
    if following is None:
        held.delete()
    elif held.update(**_armed_at(following)):
        wake_runners(due=following)
    return following


def drop_retries(schedule: CallSchedule) -> None:
    """Further attempts of an occurrence are not made: the schedule has been given another time."""
    ActiveSchedule.objects.filter(schedule=schedule, origin=ActiveSchedule.Origin.RETRY).delete()


def disarm(schedule: CallSchedule) -> None:
    """Nothing more is armed: what a runner holds but has not dialled is taken from it."""
    ActiveSchedule.objects.filter(schedule=schedule).delete()


def suspend(schedule: CallSchedule) -> None:
    """Keep what is armed, but let nobody dial it; an operator's extra call is dropped."""
    rows = ActiveSchedule.objects.filter(schedule=schedule)
    rows.filter(origin=ActiveSchedule.Origin.OPERATOR).delete()
    rows.update(**_suspended())


def resume_retry(schedule: CallSchedule) -> datetime | None:
    """Let a further attempt that a pause has suspended go on; says when it is due, if there is one.

    Of a recurring schedule one that fell into the pause is dropped, as occurrences are; the last
    hope of a one-time call is dialled at once."""
    moment = timezone.now()
    rows = ActiveSchedule.objects.filter(
        schedule=schedule, origin=ActiveSchedule.Origin.RETRY, next_execution=None
    )
    if schedule.is_recurring:
        rows.filter(due_at__lt=moment).delete()
    else:
        rows.filter(due_at__lt=moment).update(due_at=moment)
    rows.update(
        next_execution=F("due_at"), status=ArmedStatus.SCHEDULED, last_updated=timezone.now()
    )
    earliest = ActiveSchedule.objects.filter(
        schedule=schedule, origin=ActiveSchedule.Origin.RETRY
    ).earliest_execution()
    if earliest is not None:
        wake_runners(due=earliest)
    return earliest


def _suspended() -> dict[str, object]:
    return {
        "status": ArmedStatus.PAUSED,
        "next_execution": None,
        "last_updated": timezone.now(),
        **RELEASED,
    }


def _armed_at(occurrence: datetime) -> dict[str, object]:
    return {
        "occurrence": occurrence,
        "next_execution": occurrence,
        "due_at": occurrence,
        "attempt": 1,
        "asked": 0,
        "waits_for": "",
        "waits_on": "",
        "status": ArmedStatus.SCHEDULED,
        "last_updated": timezone.now(),
        **RELEASED,
    }


# What `_armed_at` writes.
_REARMED = tuple(_armed_at(datetime.max.replace(tzinfo=UTC)))
