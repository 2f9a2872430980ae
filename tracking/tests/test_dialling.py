"""A claimed occurrence is dialled once, or its ledger says why not."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import OperationalError
from django.utils import timezone

from schedules import services
from schedules.claims import claim_due
from schedules.models import ActiveSchedule, CallSchedule, Gate
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking import ledger
from tracking.carriers.base import CallNotAccepted, Trouble
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import _openings, dial
from tracking.models import CallLog
from tracking.opening import open_claim
from tracking.reports import IMPATIENCE

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOURLY = {"enabled": True, "frequency": "hourly", "interval": 1}
S = CallLog.Status


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOW, tick=False):
        yield


def claimed(*, late=0, **fields) -> ActiveSchedule:
    moment = NOW - timedelta(seconds=late)
    schedule = CallScheduleFactory(scheduled_time=moment, **fields)
    ActiveScheduleFactory(schedule=schedule)
    return claim()


def claim(moment=NOW) -> ActiveSchedule:
    (armed,) = claim_due(runner_id="runner_a", moment=moment, limit=1, lease=timedelta(seconds=60))
    return armed


def test_a_due_call_is_placed_and_written_down():
    armed = claimed(late=2, agent_instance_id="agent_1")

    dial(armed.pk, armed.lease)

    log = CallLog.objects.get()
    (request,) = MemoryCarrier.placed
    assert (request.to, request.attempt_id) == (armed.schedule.phone, log.pk)
    assert log.status == S.QUEUED
    assert log.call_id.startswith("CA")
    assert log.occurrence == armed.occurrence
    assert log.lateness == timedelta(seconds=2)
    assert log.agent_instance_id == "agent_1"
    schedule = CallSchedule.objects.get()
    assert (schedule.status, schedule.call_id) == (ScheduleStatus.RUNNING, log.call_id)
    assert not ActiveSchedule.objects.exists()


def test_a_recurring_schedule_is_armed_again_at_once():
    armed = claimed(repeat_config=HOURLY)

    dial(armed.pk, armed.lease)

    following = ActiveSchedule.objects.get()
    assert following.next_execution == NOW + timedelta(hours=1)
    assert following.lease == ""
    assert following.job_id == armed.job_id


def test_calls_that_were_held_up_keep_the_pace_when_they_go_on(settings, monkeypatch):
    """As where the database hung: their slots, and those of many a runner, have passed."""
    first, second = claimed(phone="+14155550100"), claimed(phone="+14155550101")
    settings.CALLS_PER_SECOND = 10
    asked_at: list[datetime] = []
    place = MemoryCarrier.place_call
    monkeypatch.setattr(
        MemoryCarrier,
        "place_call",
        lambda *args: asked_at.append(timezone.now()) or place(*args),
    )
    with time_machine.travel(NOW + timedelta(seconds=20), tick=False) as clock:
        monkeypatch.setattr("tracking.dialling.time.sleep", clock.shift)

        for armed in (first, second):
            dial(armed.pk, armed.lease, NOW.timestamp())

    apart = asked_at[1] - asked_at[0]
    assert apart.total_seconds() == pytest.approx(0.1, abs=1e-4)


def test_what_was_held_up_and_got_no_answer_is_looked_up_from_when_it_was_asked_for(
    settings, monkeypatch
):
    armed = claimed()
    settings.CALLS_PER_SECOND = 1
    MemoryCarrier.troubles.append(
        CallNotAccepted(Trouble.AMBIGUOUS, code="ambiguous", message="No answer.")
    )

    opened = open_claim(armed.lease)

    with time_machine.travel(NOW + timedelta(seconds=20), tick=False):
        monkeypatch.setattr(_openings, "take", lambda armed_id, _: opened[armed_id])
        dial(armed.pk, armed.lease, NOW.timestamp())

    assert CallLog.objects.get().timestamp == NOW + timedelta(seconds=20)


def test_what_was_held_up_and_finds_no_slot_at_once_is_asked_for_later(settings):
    """An open call that waited longer would ring after all dialling was stopped."""
    armed = claimed()
    settings.CALLS_PER_SECOND = 1
    Gate.objects.update(next_slot=NOW + timedelta(seconds=20.2))

    with time_machine.travel(NOW + timedelta(seconds=20), tick=False):
        dial(armed.pk, armed.lease, NOW.timestamp())

    assert MemoryCarrier.placed == []
    log = CallLog.objects.get()
    assert (log.status, log.error_code) == (S.DEFERRED, "stalled")
    assert ActiveSchedule.objects.get().status == ActiveSchedule.Status.SCHEDULED


def test_dialling_a_claim_twice_places_one_call():
    armed = claimed()

    dial(armed.pk, armed.lease)
    dial(armed.pk, armed.lease)

    assert len(MemoryCarrier.placed) == 1


@pytest.mark.parametrize("act", [services.pause, services.cancel])
def test_what_was_paused_or_cancelled_after_the_claim_is_not_dialled(act):
    armed = claimed()
    act(armed.schedule)

    dial(armed.pk, armed.lease)

    assert MemoryCarrier.placed == []
    assert not CallLog.objects.exists()


def test_what_another_runner_took_over_is_not_dialled_by_the_first():
    armed = claimed()
    taken_over = claim(NOW + timedelta(seconds=61))

    dial(armed.pk, armed.lease)
    assert MemoryCarrier.placed == []

    dial(taken_over.pk, taken_over.lease)
    assert len(MemoryCarrier.placed) == 1


def test_an_attempt_that_a_dead_runner_left_open_is_unknown_and_not_dialled_again():
    armed = claimed(repeat_config=HOURLY)
    open_claim(armed.lease)
    taken_over = claim(NOW + timedelta(seconds=61))

    dial(taken_over.pk, taken_over.lease)

    log = CallLog.objects.get()
    assert MemoryCarrier.placed == []
    assert (log.status, log.error_code) == (S.UNKNOWN, "runner_died")
    assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(hours=1)
    assert CallSchedule.objects.get().status == ScheduleStatus.SCHEDULED


def test_the_only_call_of_a_dead_runner_leaves_its_schedule_undecided():
    armed = claimed()
    open_claim(armed.lease)
    taken_over = claim(NOW + timedelta(seconds=61))

    dial(taken_over.pk, taken_over.lease)

    schedule = CallSchedule.objects.get()
    assert schedule.status == ScheduleStatus.RUNNING
    assert "may have been placed" in schedule.status_reason


@pytest.mark.parametrize(
    ("trouble", "log_status", "schedule_status"),
    [
        (Trouble.NUMBER, S.FAILED, ScheduleStatus.FAILED),
        (Trouble.REQUEST, S.FAILED, ScheduleStatus.FAILED),
        (Trouble.PERMISSION, S.FAILED, ScheduleStatus.FAILED),
        (Trouble.AMBIGUOUS, S.UNKNOWN, ScheduleStatus.RUNNING),
    ],
)
def test_a_refusal_for_good_is_final_and_an_ambiguous_answer_is_unknown(
    trouble, log_status, schedule_status
):
    MemoryCarrier.troubles.append(CallNotAccepted(trouble, code="21211", message="No."))
    armed = claimed()

    dial(armed.pk, armed.lease)

    log = CallLog.objects.get()
    assert (log.status, log.error_code) == (log_status, "21211")
    assert log.error_message.startswith("No.")
    schedule = CallSchedule.objects.get()
    assert schedule.status == schedule_status
    assert schedule.status_reason == log.error_message


@pytest.mark.parametrize(("late", "dialled"), [(300, True), (301, False)])
def test_grace_decides_whether_a_late_call_is_dialled_or_missed(late, dialled):
    armed = claimed(late=late)

    dial(armed.pk, armed.lease)

    log = CallLog.objects.get()
    assert bool(MemoryCarrier.placed) == dialled
    assert log.status == (S.QUEUED if dialled else S.MISSED)
    if not dialled:
        assert "0:05:01" in log.error_message
        assert CallSchedule.objects.get().status == ScheduleStatus.FAILED


def test_several_missed_occurrences_are_each_written_down_and_none_is_dialled():
    armed = claimed(late=3 * 3600 + 1200, repeat_config=HOURLY)

    dial(armed.pk, armed.lease)

    logs = CallLog.objects.order_by("occurrence")
    assert MemoryCarrier.placed == []
    assert [log.occurrence for log in logs] == [
        armed.occurrence + timedelta(hours=hours) for hours in range(4)
    ]
    assert {log.status for log in logs} == {S.MISSED}
    assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(minutes=40)
    assert CallSchedule.objects.get().status == ScheduleStatus.SCHEDULED


def test_of_several_due_ones_the_last_alone_is_dialled():
    armed = claimed(late=3 * 3600 + 60, repeat_config=HOURLY)

    dial(armed.pk, armed.lease)
    again = claim()
    dial(again.pk, again.lease)

    logs = CallLog.objects.order_by("occurrence")
    assert [log.status for log in logs] == [S.MISSED] * 3 + [S.QUEUED]
    assert len(MemoryCarrier.placed) == 1


def test_years_of_missed_occurrences_are_written_down_in_steps():
    first = NOW - timedelta(hours=2000, minutes=30)
    schedule = CallScheduleFactory(scheduled_time=first, repeat_config=HOURLY)
    ActiveScheduleFactory(schedule=schedule)

    while ActiveSchedule.objects.due(NOW).exists():
        armed = claim()
        dial(armed.pk, armed.lease)

    assert CallLog.objects.filter(status=S.MISSED).count() == 2001
    assert MemoryCarrier.placed == []


def test_an_open_attempt_that_is_found_too_late_is_unknown_and_not_missed():
    armed = claimed(repeat_config=HOURLY)
    open_claim(armed.lease)

    with time_machine.travel(NOW + timedelta(minutes=30), tick=False):
        taken_over = claim(NOW + timedelta(minutes=30))
        dial(taken_over.pk, taken_over.lease)

    assert CallLog.objects.get().status == S.UNKNOWN


def test_a_number_corrected_after_the_claim_is_the_one_that_is_dialled():
    armed = claimed()
    CallSchedule.objects.update(phone="+15005550009")

    dial(armed.pk, armed.lease)

    assert MemoryCarrier.placed[0].to == "+15005550009"
    assert CallLog.objects.get().phone == "+15005550009"


def test_an_operators_extra_call_leaves_the_rule_alone():
    schedule = CallScheduleFactory(scheduled_time=NOW + timedelta(minutes=30), repeat_config=HOURLY)
    ActiveScheduleFactory(schedule=schedule)
    services.call_now(schedule)
    armed = claim()

    dial(armed.pk, armed.lease)

    assert CallLog.objects.get().occurrence == NOW
    assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(minutes=30)


def test_a_rule_that_cannot_be_followed_pauses_its_schedule_with_the_reason():
    armed = claimed(repeat_config=HOURLY)
    CallSchedule.objects.update(timezone="Europe/Atlantis")

    dial(armed.pk, armed.lease)

    log, schedule = CallLog.objects.get(), CallSchedule.objects.get()
    assert MemoryCarrier.placed == []
    assert (log.status, log.error_code) == (S.FAILED, "rule")
    assert schedule.status == ScheduleStatus.PAUSED
    assert "Europe/Atlantis" in schedule.status_reason
    assert not ActiveSchedule.objects.due(NOW + timedelta(days=9)).exists()


def test_a_runner_that_stalls_before_it_opens_the_ledger_does_not_dial():
    armed = claimed()

    with time_machine.travel(NOW + timedelta(seconds=61), tick=False):
        dial(armed.pk, armed.lease)

    assert MemoryCarrier.placed == []
    assert not CallLog.objects.exists()


def test_a_runner_that_stalls_before_it_asks_the_carrier_does_not_ask(monkeypatch):
    armed = claimed()
    with time_machine.travel(NOW, tick=False) as clock:
        monkeypatch.setattr(
            "tracking.dialling._wait_until", lambda _: clock.shift(timedelta(seconds=61))
        )
        dial(armed.pk, armed.lease)

    assert MemoryCarrier.placed == []
    log = CallLog.objects.get()
    assert (log.status, log.error_code) == (S.DEFERRED, "stalled")


@pytest.mark.django_db(transaction=True)
def test_the_carriers_answer_is_written_although_the_database_fails_at_first(monkeypatch):
    armed = claimed()
    record, failures = ledger.record_accepted, iter([OperationalError("gone")] * 2)

    def fail_twice(batch):
        error = next(failures, None)
        record(batch)
        if error:
            raise error

    monkeypatch.setattr(ledger, "record_accepted", fail_twice)
    monkeypatch.setattr("tracking.recording._WAITS", (0.0, 0.0, 0.0))

    dial(armed.pk, armed.lease)

    log = CallLog.objects.get()
    assert len(MemoryCarrier.placed) == 1
    assert log.status == S.QUEUED
    assert log.call_id
    assert not ActiveSchedule.objects.exists()
    # Its webhooks may have come in vain meanwhile.
    assert log.next_check_at <= timezone.now() + IMPATIENCE


def test_what_was_armed_while_its_schedule_was_cancelled_does_not_come_round_for_ever():
    armed = claimed(repeat_config=HOURLY)
    CallSchedule.objects.update(status=ScheduleStatus.CANCELLED)

    dial(armed.pk, armed.lease)

    assert MemoryCarrier.placed == []
    assert not ActiveSchedule.objects.exists()
