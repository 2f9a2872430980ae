"""Arms the next call of a schedule: the rows that the job store reads."""

from datetime import datetime

from django.utils import timezone

from polaris.errors import SchedulerFailure
from schedules.models import ActiveSchedule, CallSchedule
from schedules.recurrence import next_occurrence
from schedules.states import FINAL, ArmedStatus, ScheduleStatus

# The columns of a row that nobody holds.
RELEASED: dict[str, object] = {"leased_until": None, "lease": "", "runner_id": ""}


def upcoming(schedule: CallSchedule, *, after: datetime) -> datetime | None:
    """The schedule's first occurrence strictly later than `after`, in UTC."""
    try:
        return next_occurrence(schedule.anchor, schedule.zone, schedule.rule, after=after)
    except ValueError as error:
        raise SchedulerFailure(f"The next call cannot be computed: {error}") from error


def arm(schedule: CallSchedule, *, occurrence: datetime) -> None:
    """Arm `occurrence` as the schedule's next call, in place of what its rule had armed."""
    changed = ActiveSchedule.objects.filter(
        schedule=schedule, origin=ActiveSchedule.Origin.RULE
    ).update(**_armed_at(occurrence))
    if not changed:
        ActiveSchedule.objects.create(
            schedule=schedule, occurrence=occurrence, next_execution=occurrence
        )


def lock(armed: ActiveSchedule) -> None:
    """Take the row's lock first, as every writer does, so that two of them form no circle."""
    ActiveSchedule.objects.filter(pk=armed.pk).update(last_updated=timezone.now())


def put_away(armed: ActiveSchedule) -> None:
    """A row that was armed while its schedule was being cancelled or paused is not due again."""
    held = ActiveSchedule.objects.filter(pk=armed.pk, lease=armed.lease)
    held.filter(schedule__status__in=FINAL).delete()
    if CallSchedule.objects.filter(pk=armed.schedule_id, status=ScheduleStatus.PAUSED).exists():
        held.update(**_suspended())


def consume(armed: ActiveSchedule, *, after: datetime) -> datetime | None:
    """The claimed occurrence has been dealt with: arm the first one later than `after`.

    The row goes where nothing follows. Changes nothing where the claim was lost meanwhile (to a
    pause, a cancellation or another runner). Returns the next occurrence, if there is one."""
    by_rule = armed.origin == ActiveSchedule.Origin.RULE and armed.schedule.is_recurring
    following = upcoming(armed.schedule, after=after) if by_rule else None
    held = ActiveSchedule.objects.filter(pk=armed.pk, lease=armed.lease)
    if following is None:
        held.delete()
    else:
        held.update(**_armed_at(following))
    return following


def disarm(schedule: CallSchedule) -> None:
    """Nothing more is armed: what a runner holds but has not dialled is taken from it."""
    ActiveSchedule.objects.filter(schedule=schedule).delete()


def suspend(schedule: CallSchedule) -> None:
    """Keep what the rule has armed, but let nobody dial it; an operator's extra call is dropped."""
    rows = ActiveSchedule.objects.filter(schedule=schedule)
    rows.filter(origin=ActiveSchedule.Origin.OPERATOR).delete()
    rows.update(**_suspended())


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
        "attempt": 1,
        "status": ArmedStatus.SCHEDULED,
        "last_updated": timezone.now(),
        **RELEASED,
    }
