"""Whether an occurrence is attempted again after its call has ended."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from schedules import services
from schedules.claims import claim_due
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.carriers.base import CallReport
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial
from tracking.models import CallLog
from tracking.reports import apply_report

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
S = CallLog.Status
POLICY = {"on": ["busy", "no_answer", "machine"], "attempts": 3, "delays": [60, 600]}
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def due(**fields) -> None:
    given = {"retry_policy": POLICY} | fields
    ActiveScheduleFactory(schedule=CallScheduleFactory(scheduled_time=NOW, **given))


def dial_what_is_due() -> CallLog:
    moment = datetime.now(UTC)
    for armed in claim_due(
        runner_id="runner_a", moment=moment, limit=9, lease=timedelta(seconds=60)
    ):
        dial(armed.pk, armed.lease)
    return CallLog.objects.order_by("-occurrence", "-attempt").first()


def end(log: CallLog, status=S.BUSY, **more) -> None:
    apply_report(CallReport(call_id=log.call_id, status=status, at=datetime.now(UTC), **more))


def test_attempts_are_logs_of_one_occurrence_after_the_delays_of_the_policy(clock):
    due()
    end(dial_what_is_due())

    armed = ActiveSchedule.objects.get()
    assert (armed.attempt, armed.occurrence, armed.due_at) == (2, NOW, NOW + MINUTE)
    assert CallSchedule.objects.get().status == ScheduleStatus.SCHEDULED

    clock.shift(MINUTE)
    end(dial_what_is_due(), S.NO_ANSWER)
    assert ActiveSchedule.objects.get().due_at == NOW + 11 * MINUTE

    clock.shift(10 * MINUTE)
    end(dial_what_is_due())

    logs = CallLog.objects.order_by("attempt")
    assert [(log.attempt, log.status, log.occurrence) for log in logs] == [
        (1, S.BUSY, NOW),
        (2, S.NO_ANSWER, NOW),
        (3, S.BUSY, NOW),
    ]
    assert [log.lateness for log in logs] == [timedelta()] * 3
    assert not ActiveSchedule.objects.exists()
    assert CallSchedule.objects.get().status == ScheduleStatus.FAILED


@pytest.mark.parametrize(
    ("status", "more", "again"),
    [
        (S.BUSY, {}, True),
        (S.NO_ANSWER, {}, True),
        (S.FAILED, {}, False),
        (S.CANCELLED, {}, False),
        (S.COMPLETED, {}, False),
        (S.COMPLETED, {"answered_by": "human"}, False),
        (S.COMPLETED, {"answered_by": "machine_start"}, True),
        (S.COMPLETED, {"answered_by": "machine_end_beep"}, True),
    ],
)
def test_only_the_outcomes_of_the_policy_are_tried_again(status, more, again):
    due()

    end(dial_what_is_due(), status, **more)

    assert ActiveSchedule.objects.exists() == again


def test_without_a_policy_nothing_is_tried_again():
    due(retry_policy=None)

    end(dial_what_is_due())

    assert not ActiveSchedule.objects.exists()


def test_machines_are_listened_for_where_the_policy_names_them():
    due()
    due(retry_policy=None, phone="+15005550007")

    dial_what_is_due()

    assert {request.to: request.detects_machines for request in MemoryCarrier.placed} == {
        "+15005550006": True,
        "+15005550007": False,
    }


def test_an_attempt_that_would_fall_outside_the_window_waits_for_the_next_opening():
    due(calling_window={"start": "08:00", "end": "12:01"})

    end(dial_what_is_due())

    assert ActiveSchedule.objects.get().due_at == NOW + timedelta(hours=20)


def test_the_next_occurrence_goes_before_a_further_attempt():
    policy = POLICY | {"delays": [3600]}
    due(repeat_config={"enabled": True, "frequency": "hourly"}, retry_policy=policy)

    end(dial_what_is_due())

    armed = ActiveSchedule.objects.get()
    assert (armed.attempt, armed.occurrence) == (1, NOW + timedelta(hours=1))


def test_a_further_attempt_stands_beside_the_next_occurrence(clock):
    due(repeat_config={"enabled": True, "frequency": "hourly"})

    end(dial_what_is_due())
    clock.shift(MINUTE)
    end(dial_what_is_due(), S.COMPLETED)

    assert ActiveSchedule.objects.get().occurrence == NOW + timedelta(hours=1)
    assert CallSchedule.objects.get().status == ScheduleStatus.SCHEDULED


@pytest.mark.parametrize(
    ("paused_for", "due_at"), [(MINUTE / 2, NOW + MINUTE), (5 * MINUTE, NOW + 5 * MINUTE)]
)
def test_a_pause_suspends_the_last_hope_of_a_one_time_call(clock, paused_for, due_at):
    due()
    end(dial_what_is_due())

    services.pause(CallSchedule.objects.get())
    assert ActiveSchedule.objects.get().next_execution is None
    clock.shift(paused_for)
    services.resume(CallSchedule.objects.get())

    assert ActiveSchedule.objects.get().next_execution == due_at


def test_a_further_attempt_that_falls_into_a_pause_of_a_series_is_dropped(clock):
    due(repeat_config={"enabled": True, "frequency": "hourly"})
    end(dial_what_is_due())

    services.pause(CallSchedule.objects.get())
    clock.shift(5 * MINUTE)
    services.resume(CallSchedule.objects.get())

    assert ActiveSchedule.objects.get().occurrence == NOW + timedelta(hours=1)
