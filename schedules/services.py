"""Everything that changes a schedule. Views, the admin and commands call these and decide nothing.

Rows are always written in the order armed occurrences, schedule; the runner writes them in the
same order, so that two writers wait for each other and never form a circle.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string

from polaris.audit.changes import Changes, changes, gone, made
from polaris.audit.recording import Act, record
from polaris.database import atomic, inserted_together, touch
from polaris.errors import ChangedMeanwhile, IllegalTransition, ScheduleNotFound
from polaris.events import is_heard, publish
from polaris.inserting import insert
from polaris.masking import mask_numbers, masked_number
from polaris.moments import show_utc
from polaris.repeating import repeated
from polaris.states import move
from schedules import arming
from schedules.models import ActiveSchedule, CallSchedule
from schedules.pauses import begin_pause, end_pause
from schedules.planning import Plan
from schedules.states import DELETABLE, EDITABLE, FINAL, IN_HAND, TRANSITIONS, ScheduleStatus
from schedules.waking import wake_runners

# What people write of a schedule.
_WRITTEN = (
    "phone",
    "scheduled_time",
    "wall_time",
    "timezone",
    "repeat_config",
    "calling_window",
    "retry_policy",
    "overlap",
    "user_profile_id",
    "agent_instance_id",
    "description",
    "notes",
)


@repeated
def create_schedule(
    *,
    plan: Plan,
    created_by: str,
    user_profile_id: str = "",
    agent_instance_id: str = "",
    description: str = "",
    notes: str = "",
) -> CallSchedule:
    """Write a schedule and arm its first call, in one transaction."""
    schedule = CallSchedule(
        created_by=created_by,
        user_profile_id=user_profile_id,
        agent_instance_id=agent_instance_id,
        description=description,
        notes=notes,
        status=ScheduleStatus.SCHEDULED,
        phone=plan.phone,
        scheduled_time=plan.scheduled_time,
        wall_time=plan.wall_time,
        timezone=plan.timezone,
        repeat_config=plan.repeat_config,
        calling_window=plan.calling_window,
        retry_policy=plan.retry_policy,
        overlap=plan.overlap,
    )
    with inserted_together():
        insert(schedule)
        _arm_first(schedule, occurrence=plan.first)
        record(_act("create", schedule, made(_told(schedule))))
        announce("schedule.created", schedule)
    return schedule


@repeated
def change_schedule(schedule: CallSchedule, *, plan: Plan, **texts: str) -> CallSchedule:
    """Give a schedule a new plan and new texts (description, notes, the two ids).

    What is armed moves only where the time, the zone, the rule or the calling window has changed,
    or the number where the window goes by it. Raises
    IllegalTransition where a call is being placed or the schedule is over, ChangedMeanwhile where
    somebody else has changed it since `schedule` was read."""
    times = {
        "scheduled_time": plan.scheduled_time,
        "wall_time": plan.wall_time,
        "timezone": plan.timezone,
        "repeat_config": plan.repeat_config,
        "calling_window": plan.calling_window,
    }
    is_moved = any(getattr(schedule, name) != value for name, value in times.items())
    is_moved |= plan.goes_by_number and plan.phone != schedule.phone
    with atomic():
        if is_moved:
            _lock_armed(schedule)
        rows = CallSchedule.objects.filter(pk=schedule.pk, revision=schedule.revision)
        before = rows.first()  # `schedule` may hold what a form has made of it
        _require(
            rows.filter(status__in=EDITABLE).update(
                phone=plan.phone,
                retry_policy=plan.retry_policy,
                overlap=plan.overlap,
                revision=F("revision") + 1,
                last_updated=timezone.now(),
                **times,
                **texts,
            ),
            schedule,
            "changed",
        )
        schedule.refresh_from_db()
        if is_moved:
            arming.drop_retries(schedule)
            arming.arm(schedule, occurrence=plan.first)
            if schedule.status == ScheduleStatus.PAUSED:
                arming.suspend(schedule)
        if before is not None:
            record(_act("change", schedule, changes(_plan_of(before), _plan_of(schedule))))
        announce("schedule.changed", schedule)
    return schedule


def require_editable(schedule: CallSchedule) -> None:
    """Raises IllegalTransition unless `schedule` may be changed as it was read."""
    _require(schedule.status in EDITABLE, schedule, "changed")


@repeated
def pause(schedule: CallSchedule, *, hang_up: bool = False) -> CallSchedule:
    """Stop dialling until resumed. A call that still waits at the carrier is cancelled there; one
    that is under way goes on, or is ended with `hang_up`.

    Raises IllegalTransition where the schedule is final or its only call is being placed."""
    with atomic():
        arming.suspend(schedule)
        _stop_calls(schedule, _stop(hang_up))
        was = _move(schedule, ScheduleStatus.PAUSED, "paused", sources=_pausable(schedule))
        begin_pause(schedule.pk)
        record(_act("pause", schedule, _moved(was, schedule) | _hung_up(hang_up)))
        announce("schedule.paused", schedule)
    return schedule


@repeated
def resume(schedule: CallSchedule) -> CallSchedule:
    """Arm the next call after a pause. Occurrences that fell into the pause are not dialled.

    Raises IllegalTransition where it is not paused, or where its only time has passed."""
    with atomic():
        _lock_armed(schedule)
        was = _move(schedule, ScheduleStatus.SCHEDULED, "resumed", sources={ScheduleStatus.PAUSED})
        following = arming.upcoming(schedule, after=_resumed_from(schedule))
        retry_at = arming.resume_retry(schedule)
        if following is None and retry_at is None:
            raise IllegalTransition(
                "Its last time passed while it was paused: give it a new scheduled_time, then "
                "resume it, or cancel it."
            )
        if following is not None and (schedule.is_recurring or retry_at is None):
            arming.arm(schedule, occurrence=following)
        end_pause(schedule.pk)
        record(_act("resume", schedule, _moved(was, schedule)))
        announce("schedule.resumed", schedule)
    return schedule


@repeated
def cancel(schedule: CallSchedule, *, hang_up: bool = False) -> CallSchedule:
    """No further call, for good. A call that still waits at the carrier is cancelled there; one
    that is under way goes on, or is ended with `hang_up`.

    Raises IllegalTransition where the schedule is final."""
    with atomic():
        arming.disarm(schedule)
        _stop_calls(schedule, _stop(hang_up), closes="Its schedule was cancelled.")
        cancellable = TRANSITIONS.sources(ScheduleStatus.CANCELLED)
        was = _move(schedule, ScheduleStatus.CANCELLED, "cancelled", sources=cancellable)
        end_pause(schedule.pk)
        record(_act("cancel", schedule, _moved(was, schedule) | _hung_up(hang_up)))
        announce("schedule.cancelled", schedule)
    return schedule


@repeated
def delete_schedule(schedule: CallSchedule) -> None:
    """Remove a schedule and what it had armed; the logs of its calls stay.

    Raises IllegalTransition while a call is being placed or talked."""
    with atomic():
        arming.disarm(schedule)
        _stop_calls(schedule, "cancel", closes="Its schedule was deleted.")
        rows = CallSchedule.objects.filter(pk=schedule.pk, status__in=DELETABLE)
        last = rows.select_for_update().first()
        deleted, _ = rows.delete()
        _require(deleted and last, schedule, "deleted")
        if last is None:
            return
        record(_act("delete", last, gone(_told(last))))
        if last.status not in FINAL:
            announce("schedule.cancelled", schedule)


@repeated
def call_now(schedule: CallSchedule) -> CallSchedule:
    """Dial at once. A one-time call is brought forward; a recurring one gets an extra call.

    Raises IllegalTransition unless the schedule is scheduled and no such call waits already."""
    moment = timezone.now()
    with atomic():
        _lock_armed(schedule)
        scheduled = {ScheduleStatus.SCHEDULED}
        _move(schedule, ScheduleStatus.SCHEDULED, "called now", sources=scheduled)
        waiting = ActiveSchedule.objects.filter(
            schedule=schedule, origin=ActiveSchedule.Origin.OPERATOR
        )
        if waiting.exists():
            raise IllegalTransition("A call of it that an operator asked for waits already.")
        if schedule.is_recurring:
            ActiveSchedule.objects.create(
                schedule=schedule,
                origin=ActiveSchedule.Origin.OPERATOR,
                occurrence=moment,
                next_execution=moment,
                due_at=moment,
            )
            wake_runners(due=moment)
        else:
            arming.drop_retries(schedule)
            arming.arm(schedule, occurrence=moment)
        record(_act("call_now", schedule))
        announce("schedule.changed", schedule)
    return schedule


def announce(name: str, schedule: CallSchedule, **more: Any) -> None:
    """Publish an event of `schedule`; its number goes masked."""
    if not is_heard(name):
        return
    publish(
        name,
        schedule_id=schedule.pk,
        status=str(schedule.status),
        description=mask_numbers(schedule.description),
        phone=masked_number(schedule),
        user_profile_id=schedule.user_profile_id,
        agent_instance_id=schedule.agent_instance_id,
        scheduled_time=show_utc(schedule.scheduled_time),
        **more,
    )


def _arm_first(schedule: CallSchedule, *, occurrence: datetime) -> None:
    """As arming.arm does, for a schedule that is being written: nothing of it is armed yet."""
    armed = ActiveSchedule(
        schedule=schedule, occurrence=occurrence, next_execution=occurrence, due_at=occurrence
    )
    insert(armed)
    wake_runners(due=occurrence)


def _lock_armed(schedule: CallSchedule) -> None:
    """Wait for a runner that is writing these rows; from here on none can begin."""
    touch(ActiveSchedule.objects.filter(schedule=schedule), last_updated=timezone.now())


def _stop_calls(schedule: CallSchedule, stop: str, *, closes: str = "") -> None:
    """Whoever keeps the calls is told before the schedule's own row is locked."""
    stop_calls = import_string(settings.SCHEDULER_STOP_CALLS)
    stop_calls(schedule.pk, stop=stop, closes=closes)


def _stop(hang_up: bool) -> str:
    return "hang_up" if hang_up else "cancel"


def _pausable(schedule: CallSchedule) -> Collection[str]:
    """Nothing is left to pause of a one-time schedule whose call is being placed."""
    sources = TRANSITIONS.sources(ScheduleStatus.PAUSED)
    return sources if schedule.is_recurring else sources - {ScheduleStatus.RUNNING}


def _resumed_from(schedule: CallSchedule) -> datetime:
    """A one-time call whose time passed within the grace time is still made."""
    grace = 0 if schedule.is_recurring else settings.SCHEDULER_MISFIRE_GRACE_TIME
    return timezone.now() - timedelta(seconds=grace)


def _move(
    schedule: CallSchedule, to: ScheduleStatus, verb: str, *, sources: Collection[str]
) -> CallSchedule | None:
    """Returns the schedule as it was until now."""
    rows = CallSchedule.objects.filter(pk=schedule.pk)
    was = rows.select_for_update().first()
    moved = move(rows, to=to, sources=sources, status_reason="")
    _require(moved, schedule, verb)
    schedule.refresh_from_db()
    return was


def _act(what: str, schedule: CallSchedule, changed: Changes | None = None) -> Act:
    return Act(f"schedule.{what}", "schedule", schedule.pk, schedule.pk, changed or {})


def _moved(was: CallSchedule | None, schedule: CallSchedule) -> Changes:
    names = ("status", "status_reason")
    return changes(_values(was, names) if was else {}, _values(schedule, names))


def _hung_up(hang_up: bool) -> Changes:
    """What the calls that are under way are told to do."""
    return {"hang_up": (None, True)} if hang_up else {}


def _told(schedule: CallSchedule) -> dict[str, Any]:
    return _values(schedule, ("created_by", "status", *_WRITTEN))


def _plan_of(schedule: CallSchedule) -> dict[str, Any]:
    return _values(schedule, _WRITTEN)


def _values(schedule: CallSchedule, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in names}


def _require(changed: object, schedule: CallSchedule, verb: str) -> None:
    if not changed:
        raise _not_allowed(schedule, verb)


def _not_allowed(schedule: CallSchedule, verb: str) -> Exception:
    status = CallSchedule.objects.filter(pk=schedule.pk).values_list("status", flat=True).first()
    if status is None:
        return ScheduleNotFound(f"There is no schedule {schedule.pk!r}.")
    if status in IN_HAND:
        return IllegalTransition(f"A schedule whose call is being placed cannot be {verb}.")
    if verb == "changed" and status in EDITABLE:
        return ChangedMeanwhile("Somebody else has changed it meanwhile: read it again first.")
    return IllegalTransition(f"A {ScheduleStatus(status).label} schedule cannot be {verb}.")
