"""Writes to schedules: what they change, and what they refuse."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from polaris.errors import IllegalTransition, ScheduleNotFound
from polaris.events import on, unregister
from schedules import services
from schedules.models import ActiveSchedule, CallSchedule
from schedules.planning import make_plan
from schedules.states import DELETABLE, EDITABLE, FINAL, TRANSITIONS, ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
DAILY = {"enabled": True, "frequency": "daily", "interval": 1}
S = ScheduleStatus


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOW, tick=False):
        yield


def plan(**asked):
    return make_plan(
        **{
            "phone": "+15005550006",
            "scheduled_time": NOW + timedelta(hours=1),
            "timezone": "UTC",
            "repeat_config": None,
            "now": NOW,
        }
        | asked
    )


def armed(status=S.SCHEDULED, **fields) -> CallSchedule:
    schedule = CallScheduleFactory(status=status, scheduled_time=NOW + timedelta(hours=1), **fields)
    if status not in FINAL:
        ActiveScheduleFactory(schedule=schedule)
    return schedule


def test_creating_arms_the_first_call():
    schedule = services.create_schedule(plan=plan(), created_by="user_1")

    row = ActiveSchedule.objects.get()
    assert schedule.status == S.SCHEDULED
    assert row.schedule == schedule
    assert row.next_execution == row.occurrence == NOW + timedelta(hours=1)
    assert row.status == ActiveSchedule.Status.SCHEDULED


def test_a_failure_while_arming_leaves_nothing_behind(monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("schedules.services._arm_first", fail)

    with pytest.raises(RuntimeError):
        services.create_schedule(plan=plan(), created_by="user_1")

    assert not CallSchedule.objects.exists()


def test_pausing_and_resuming_a_one_time_call_keeps_its_time():
    schedule = armed()

    services.pause(schedule)
    paused = ActiveSchedule.objects.get()
    services.resume(schedule)

    assert paused.next_execution is None
    assert paused.status == ActiveSchedule.Status.PAUSED
    assert ActiveSchedule.objects.get().next_execution == schedule.scheduled_time
    assert schedule.status == S.SCHEDULED


def test_a_recurring_schedule_passes_over_what_fell_into_the_pause():
    schedule = armed(repeat_config=DAILY)
    services.pause(schedule)

    with time_machine.travel(NOW + timedelta(days=3), tick=False):
        services.resume(schedule)

    assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(days=3, hours=1)


@pytest.mark.parametrize(("late", "allowed"), [(299, True), (301, False)])
def test_a_one_time_call_is_resumed_within_its_grace_time(late, allowed):
    schedule = armed()
    services.pause(schedule)

    with time_machine.travel(NOW + timedelta(hours=1, seconds=late), tick=False):
        if allowed:
            services.resume(schedule)
        else:
            with pytest.raises(IllegalTransition, match="passed while it was paused"):
                services.resume(schedule)

    schedule.refresh_from_db()
    assert schedule.status == (S.SCHEDULED if allowed else S.PAUSED)


def test_cancelling_disarms_for_good():
    schedule = armed(repeat_config=DAILY)

    services.cancel(schedule)

    assert schedule.status == S.CANCELLED
    assert not ActiveSchedule.objects.exists()


@pytest.mark.parametrize("status", S.values)
@pytest.mark.parametrize(
    ("act", "target"),
    [(services.pause, S.PAUSED), (services.resume, S.SCHEDULED), (services.cancel, S.CANCELLED)],
)
def test_each_act_is_allowed_where_the_table_says_so(act, target, status):
    schedule = armed(status, repeat_config=DAILY)
    resumed = act is services.resume
    allowed = status == S.PAUSED if resumed else TRANSITIONS.allows(status, target)
    before = list(ActiveSchedule.objects.values())

    if allowed:
        act(schedule)
    else:
        with pytest.raises(IllegalTransition):
            act(schedule)

    schedule.refresh_from_db()
    assert schedule.status == (target if allowed else status)
    if not allowed:
        assert list(ActiveSchedule.objects.values()) == before


def test_the_only_call_of_a_schedule_cannot_be_paused_while_it_is_placed():
    schedule = armed(S.RUNNING)

    with pytest.raises(IllegalTransition, match="being placed"):
        services.pause(schedule)


def test_a_recurring_schedule_can_be_paused_while_a_call_of_it_is_live():
    schedule = armed(S.RUNNING, repeat_config=DAILY)

    services.pause(schedule)

    assert schedule.status == S.PAUSED


@pytest.mark.parametrize("status", S.values)
def test_a_schedule_is_changed_where_nothing_of_it_is_placed(status):
    schedule = armed(status)
    later = plan(scheduled_time=NOW + timedelta(hours=5))

    if status in EDITABLE:
        services.change_schedule(schedule, plan=later, notes="changed")
    else:
        with pytest.raises(IllegalTransition):
            services.change_schedule(schedule, plan=later, notes="changed")

    schedule.refresh_from_db()
    assert schedule.notes == ("changed" if status in EDITABLE else "")


def test_changing_the_time_moves_the_armed_call():
    schedule = armed()

    services.change_schedule(schedule, plan=plan(scheduled_time=NOW + timedelta(hours=5)))

    assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(hours=5)


def test_changing_only_words_leaves_the_armed_call_alone():
    schedule = armed(repeat_config=DAILY)
    moved_by_hand = NOW + timedelta(days=9, hours=1)
    ActiveSchedule.objects.update(next_execution=moved_by_hand, occurrence=moved_by_hand)

    same = plan(repeat_config=DAILY)
    services.change_schedule(schedule, plan=same, description="another")

    assert ActiveSchedule.objects.get().next_execution == moved_by_hand


def test_a_paused_schedule_stays_paused_when_it_is_changed():
    schedule = armed()
    services.pause(schedule)

    services.change_schedule(schedule, plan=plan(scheduled_time=NOW + timedelta(hours=5)))
    row = ActiveSchedule.objects.get()
    services.resume(schedule)

    assert row.next_execution is None
    assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(hours=5)


def test_of_two_changes_at_once_the_second_is_told():
    schedule = armed()
    same = CallSchedule.objects.get()
    with time_machine.travel(NOW + timedelta(seconds=1), tick=False):
        services.change_schedule(same, plan=plan(), notes="first")

    with pytest.raises(IllegalTransition, match="Somebody else"):
        services.change_schedule(schedule, plan=plan(), notes="second")

    assert CallSchedule.objects.get().notes == "first"


@pytest.mark.parametrize("status", S.values)
def test_a_schedule_is_deleted_where_nothing_of_it_is_placed(status):
    schedule = armed(status)

    if status in DELETABLE:
        services.delete_schedule(schedule)
    else:
        with pytest.raises(IllegalTransition):
            services.delete_schedule(schedule)

    assert CallSchedule.objects.exists() == (status not in DELETABLE)
    assert ActiveSchedule.objects.exists() == (status not in DELETABLE)


def test_acting_on_what_is_gone_says_so():
    schedule = armed()
    CallSchedule.objects.all().delete()

    with pytest.raises(ScheduleNotFound):
        services.cancel(schedule)


def test_calling_now_brings_a_one_time_call_forward():
    schedule = armed()

    services.call_now(schedule)

    assert ActiveSchedule.objects.get().next_execution == NOW


def test_calling_now_adds_a_call_to_a_recurring_schedule():
    schedule = armed(repeat_config=DAILY)

    services.call_now(schedule)

    due = ActiveSchedule.objects.in_order()
    assert [row.next_execution for row in due] == [NOW, NOW + timedelta(hours=1)]


def test_calling_now_twice_is_refused():
    schedule = armed(repeat_config=DAILY)
    services.call_now(schedule)

    with pytest.raises(IllegalTransition):
        services.call_now(schedule)

    assert ActiveSchedule.objects.count() == 2


@pytest.mark.parametrize("status", [s for s in S.values if s != S.SCHEDULED])
def test_calling_now_needs_a_scheduled_one(status):
    schedule = armed(status, repeat_config=DAILY)

    with pytest.raises(IllegalTransition):
        services.call_now(schedule)


def test_each_write_publishes_its_event(django_capture_on_commit_callbacks):
    heard = []
    handler = on("schedule.*")(lambda event: heard.append(event.name))

    with django_capture_on_commit_callbacks(execute=True):
        schedule = services.create_schedule(plan=plan(), created_by="user_1")
        services.change_schedule(schedule, plan=plan(), notes="new")
        services.pause(schedule)
        services.resume(schedule)
        services.cancel(schedule)
    unregister(handler)

    assert heard == [
        f"schedule.{what}" for what in ("created", "changed", "paused", "resumed", "cancelled")
    ]


def test_an_operators_extra_call_does_not_outlive_a_pause():
    schedule = armed(repeat_config=DAILY)
    services.call_now(schedule)

    services.pause(schedule)
    services.resume(schedule)

    assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(hours=1)
    services.call_now(schedule)  # is not refused for a call that nobody will make
