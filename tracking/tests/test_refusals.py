"""What a refusal leads to."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from schedules import gate, services
from schedules.claims import claim_due
from schedules.models import ActiveSchedule, CallSchedule, Gate
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.carriers.base import CallNotAccepted, CallReport, Trouble
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial
from tracking.following_up import follow_up
from tracking.housekeeping import recover
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
S = CallLog.Status


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def due(**fields) -> CallSchedule:
    schedule = CallScheduleFactory(scheduled_time=NOW, **fields)
    ActiveScheduleFactory(schedule=schedule)
    return schedule


def dial_what_is_due(limit=10) -> int:
    claims = claim_due(
        runner_id="runner_a", moment=datetime.now(UTC), limit=limit, lease=timedelta(seconds=60)
    )
    for armed in claims:
        dial(armed.pk, armed.lease)
    return len(claims)


def refuse(*troubles: Trouble, **more) -> None:
    MemoryCarrier.troubles.extend(
        CallNotAccepted(trouble, code="20429", message="Not now.", **more) for trouble in troubles
    )


@pytest.mark.parametrize("trouble", [Trouble.BUSY, Trouble.NOT_SENT])
def test_a_call_that_was_certainly_not_placed_is_asked_for_again(trouble, clock):
    due()
    refuse(trouble)

    dial_what_is_due()
    log, armed, schedule = CallLog.objects.get(), ActiveSchedule.objects.get(), due_schedule()

    assert (log.status, log.error_message) == (S.DEFERRED, "Not now.")
    assert NOW < armed.next_execution <= NOW + timedelta(seconds=1)
    assert (armed.due_at, armed.asked, armed.waits_for) == (NOW, 1, "Not now.")
    assert schedule.status == ScheduleStatus.SCHEDULED

    clock.shift(timedelta(seconds=1))
    dial_what_is_due()

    log.refresh_from_db()
    assert (log.status, log.error_code, log.attempt) == (S.QUEUED, "", 1)
    assert log.lateness == timedelta(seconds=1)
    assert len(MemoryCarrier.placed) == 2
    assert CallLog.objects.count() == 1


def test_a_doubt_after_refusals_gives_the_list_its_time_from_then_on(clock, settings):
    """Counted from the first refusal, one look-up would be a proof, and the call made twice."""
    due()
    refuse(Trouble.BUSY, retry_after=timedelta(seconds=200))
    dial_what_is_due()
    clock.shift(timedelta(seconds=200))
    refuse(Trouble.AMBIGUOUS)
    dial_what_is_due()
    asked_at = datetime.now(UTC)

    clock.shift(timedelta(seconds=6))  # the list lags behind
    follow_up()
    log = CallLog.objects.get()
    assert (log.status, log.timestamp) == (S.UNKNOWN, asked_at)

    placed_at = asked_at + timedelta(seconds=1)
    MemoryCarrier.listed = [CallReport("CA1", S.QUEUED, placed_at, phone=log.phone)]
    clock.shift(timedelta(seconds=6))
    follow_up()
    log.refresh_from_db()
    assert (log.status, log.call_id) == (S.QUEUED, "CA1")


def test_a_number_corrected_meanwhile_is_the_one_that_is_asked_for(clock):
    schedule = due()
    refuse(Trouble.BUSY)
    dial_what_is_due()

    CallSchedule.objects.filter(pk=schedule.pk).update(phone="+15005550009")
    clock.shift(timedelta(seconds=1))
    dial_what_is_due()

    assert MemoryCarrier.placed[-1].to == CallLog.objects.get().phone == "+15005550009"


def due_schedule() -> CallSchedule:
    return CallSchedule.objects.get()


def test_the_waits_grow_and_the_carriers_own_wish_counts(clock):
    due()
    waits = []
    for wish in (None, None, None, None, timedelta(seconds=40)):
        refuse(Trouble.BUSY, retry_after=wish)
        clock.move_to(ActiveSchedule.objects.get().next_execution)
        before = datetime.now(UTC)
        dial_what_is_due()
        waits.append((ActiveSchedule.objects.get().next_execution - before).total_seconds())

    for number, wait in enumerate(waits[:4]):
        assert 0.5 * 2**number <= wait <= 2**number
    assert waits[4] == 40


def test_it_is_given_up_when_its_grace_would_be_over():
    due()
    refuse(Trouble.BUSY, retry_after=timedelta(seconds=301))

    dial_what_is_due()

    log = CallLog.objects.get()
    assert (log.status, log.error_message) == (S.FAILED, "Not now.")
    assert due_schedule().status == ScheduleStatus.FAILED
    assert not ActiveSchedule.objects.exists()


def test_and_when_nobody_came_to_ask_again_in_time(clock):
    due(repeat_config={"enabled": True, "frequency": "hourly"})
    refuse(Trouble.BUSY)
    dial_what_is_due()

    clock.shift(timedelta(minutes=10))
    dial_what_is_due()

    log = CallLog.objects.get()
    assert log.status == S.FAILED
    assert log.error_message.startswith("Not now. Its time passed 0:10:00")
    assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(hours=1)


def test_after_a_pause_it_is_asked_for_again_where_it_is_still_in_time(clock):
    due()
    refuse(Trouble.BUSY)
    dial_what_is_due()

    services.pause(due_schedule())
    clock.shift(timedelta(seconds=30))
    services.resume(due_schedule())
    dial_what_is_due()

    log = CallLog.objects.get()
    assert (log.status, log.lateness) == (S.QUEUED, timedelta(seconds=30))


def test_one_that_a_pause_has_overtaken_is_closed_by_housekeeping(clock):
    due(repeat_config={"enabled": True, "frequency": "hourly"})
    refuse(Trouble.BUSY)
    dial_what_is_due()
    services.pause(due_schedule())
    clock.shift(timedelta(minutes=5))
    services.resume(due_schedule())

    recover()

    log = CallLog.objects.get()
    assert (log.status, log.error_code) == (S.CANCELLED, "not_wanted")


@pytest.mark.parametrize("act", [services.cancel, services.delete_schedule])
def test_a_schedule_that_is_put_away_meanwhile_closes_it(act):
    schedule = due()
    refuse(Trouble.BUSY)
    dial_what_is_due()

    act(CallSchedule.objects.get(pk=schedule.pk))

    log = CallLog.objects.get()
    assert (log.status, log.error_code) == (S.CANCELLED, "not_wanted")
    assert "The carrier had not taken the call yet." in log.error_message


def test_a_refused_account_stops_all_dialling_and_burns_nothing(clock, settings):
    settings.DIALLING_PROBE_SECONDS = 10
    for number in range(4):
        due(phone=f"+1500555000{number}")
    refuse(Trouble.ACCOUNT)

    dial_what_is_due(limit=1)
    assert gate.current().reason == "Not now."
    assert dial_what_is_due() == 0
    assert not CallLog.objects.filter(status=S.FAILED).exists()

    clock.shift(timedelta(seconds=10))
    refuse(Trouble.ACCOUNT)
    assert dial_what_is_due() == 1  # the probe
    assert dial_what_is_due() == 0

    clock.shift(timedelta(seconds=20))
    assert dial_what_is_due() == 1  # taken: the gate is open
    assert gate.current().closed_since is None
    clock.shift(timedelta(seconds=2))
    dial_what_is_due()

    assert set(CallLog.objects.values_list("status", flat=True)) == {S.QUEUED}
    assert CallLog.objects.count() == 4


def test_a_call_that_the_account_may_not_make_is_final_and_stops_the_others_for_a_look():
    due()
    refuse(Trouble.PERMISSION)

    dial_what_is_due()

    assert CallLog.objects.get().status == S.FAILED
    assert gate.current().closed_since == NOW


def test_a_probe_that_is_refused_for_its_own_number_opens_the_gate(clock, settings):
    settings.DIALLING_PROBE_SECONDS = 10
    gate.close("No.")
    due()
    clock.shift(timedelta(seconds=10))
    refuse(Trouble.NUMBER)

    dial_what_is_due()

    assert gate.current().closed_since is None


def test_a_trial_whose_call_has_to_wait_is_given_to_another_call(clock, settings):
    settings.DIALLING_PROBE_SECONDS = 10
    gate.close("No.")
    CallLogFactory(phone="+15005550001", status=S.RINGING)
    due(phone="+15005550001")
    clock.shift(timedelta(seconds=1))
    ActiveScheduleFactory(
        schedule=CallScheduleFactory(scheduled_time=datetime.now(UTC), phone="+15005550002")
    )
    clock.shift(timedelta(seconds=9))

    assert dial_what_is_due() == 1  # its line is busy
    assert not MemoryCarrier.placed
    assert dial_what_is_due() == 1

    assert [request.to for request in MemoryCarrier.placed] == ["+15005550002"]
    assert gate.current().closed_since is None


def test_what_is_missed_at_a_closed_gate_does_not_hurry_the_next_probe(clock, settings):
    gate.close("No.")
    due()
    clock.shift(timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME + 1))
    planned = NOW + timedelta(hours=1)
    Gate.objects.update(probe_at=planned, probes=3)

    dial_what_is_due()

    assert CallLog.objects.get().status == S.MISSED
    assert (gate.current().probe_at, gate.current().probes) == (planned, 3)


def test_what_waits_at_the_closed_gate_too_long_is_missed(clock):
    due()
    gate.close("No.", by="operator")

    clock.shift(timedelta(seconds=301))
    dial_what_is_due()

    assert CallLog.objects.get().status == S.MISSED
    assert "All dialling was stopped: No." in CallLog.objects.get().error_message
