"""What keeps a due occurrence from being dialled: a call that is not over, a closed window."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from schedules.claims import claim_due
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.carriers.base import CallReport
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial
from tracking.following_up import follow_up
from tracking.models import CallLog
from tracking.reports import apply_report

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOURLY = {"enabled": True, "frequency": "hourly", "interval": 1}
S = CallLog.Status


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def due(phone="+15005550006", *, moment=NOW, **fields) -> ActiveSchedule:
    schedule = CallScheduleFactory(scheduled_time=moment, phone=phone, **fields)
    return ActiveScheduleFactory(schedule=schedule)


def dial_what_is_due(moment=NOW, limit=10) -> int:
    claims = claim_due(
        runner_id="runner_a", moment=moment, limit=limit, lease=timedelta(seconds=60)
    )
    for armed in claims:
        dial(armed.pk, armed.lease)
    return len(claims)


def end(log: CallLog, status=S.COMPLETED) -> None:
    apply_report(CallReport(call_id=log.call_id, status=status, at=datetime.now(UTC)))


def look_every_15_seconds(clock, *, until: int) -> None:
    """What a runner does meanwhile."""
    for seconds in range(15, until + 1, 15):
        moment = NOW + timedelta(seconds=seconds)
        clock.move_to(moment)
        dial_what_is_due(moment)
        follow_up()


class TestOneCallToANumber:
    def one_of_two_is_dialled(self, *, and_is: CallLog.Status) -> CallLog:
        """The other waits; how it is at the carrier no webhook tells."""
        due()
        due()
        dial_what_is_due()
        log = CallLog.objects.get()
        MemoryCarrier.known[log.call_id] = CallReport(
            call_id=log.call_id, status=and_is, at=NOW, duration=9
        )
        return log

    def test_of_several_due_at_once_one_is_dialled_and_the_others_wait(self):
        for _ in range(3):
            due()

        dial_what_is_due()

        assert len(MemoryCarrier.placed) == 1
        waiting = ActiveSchedule.objects.all()
        assert {armed.waits_for for armed in waiting} == {"Another call to its number is not over."}
        assert {armed.waits_on for armed in waiting} == {CallLog.objects.get().pk}
        assert set(
            CallSchedule.objects.filter(armed__in=waiting).values_list("status", flat=True)
        ) == {ScheduleStatus.SCHEDULED}

    @pytest.mark.django_db(transaction=True)
    def test_the_end_of_a_call_wakes_what_waits_for_it(self):
        due()
        due()
        dial_what_is_due()
        assert dial_what_is_due() == 0

        end(CallLog.objects.get())
        dial_what_is_due()

        assert len(MemoryCarrier.placed) == 2

    def test_what_waits_past_its_grace_is_missed_with_the_reason(self, clock):
        due()
        due()
        dial_what_is_due()

        clock.shift(timedelta(seconds=301))
        dial_what_is_due(NOW + timedelta(seconds=301))

        missed = CallLog.objects.get(status=S.MISSED)
        assert "Another call to its number is not over." in missed.error_message

    @pytest.mark.django_db(transaction=True)
    def test_a_lost_webhook_does_not_keep_the_next_one_waiting_past_its_grace(self, clock):
        log = self.one_of_two_is_dialled(and_is=S.COMPLETED)

        look_every_15_seconds(clock, until=90)
        dial_what_is_due(datetime.now(UTC))

        assert len(MemoryCarrier.placed) == 2
        assert MemoryCarrier.fetched == [log.call_id]

    def test_a_long_call_that_others_wait_for_is_asked_for_once_a_minute(self, clock):
        log = self.one_of_two_is_dialled(and_is=S.IN_PROGRESS)

        look_every_15_seconds(clock, until=180)

        assert MemoryCarrier.fetched == [log.call_id] * 3
        assert len(MemoryCarrier.placed) == 1

    def test_different_numbers_do_not_wait_for_each_other(self):
        due()
        due("+15005550007")

        dial_what_is_due()

        assert len(MemoryCarrier.placed) == 2

    def test_a_call_that_may_have_been_placed_keeps_its_number(self):
        armed = due()
        CallLog.objects.create(
            schedule=CallScheduleFactory(), occurrence=NOW, phone="+15005550006", status=S.UNKNOWN
        )

        dial_what_is_due()

        armed.refresh_from_db()
        assert MemoryCarrier.placed == []
        assert armed.waits_for


class TestOverlap:
    def test_an_occurrence_during_the_last_ones_call_is_skipped(self, clock):
        due(repeat_config=HOURLY)
        dial_what_is_due()

        later = NOW + timedelta(hours=1)
        clock.move_to(later)
        dial_what_is_due(later)

        skipped = CallLog.objects.get(status=S.MISSED)
        assert (skipped.occurrence, skipped.error_code) == (later, "overlap")
        assert "was not over" in skipped.error_message
        assert ActiveSchedule.objects.get().next_execution == NOW + timedelta(hours=2)
        assert CallSchedule.objects.get().status == ScheduleStatus.RUNNING

    def test_one_that_waits_until_the_next_is_due_says_what_it_waited_for(self, clock):
        every_minute = {"enabled": True, "cron": "* * * * *"}
        due(repeat_config=every_minute, overlap="wait")
        for minutes in range(3):
            later = NOW + timedelta(minutes=minutes)
            clock.move_to(later)
            dial_what_is_due(later)

        missed = CallLog.objects.get(status=S.MISSED)
        assert missed.occurrence == NOW + timedelta(minutes=1)
        assert "12:02:00 UTC, was due" in missed.error_message
        assert "The last call of its schedule is not over." in missed.error_message
        assert "No runner" not in missed.error_message

    @pytest.mark.django_db(transaction=True)
    def test_or_it_waits_where_its_schedule_says_so(self, clock):
        due(repeat_config=HOURLY, overlap="wait")
        dial_what_is_due()

        later = NOW + timedelta(hours=1)
        clock.move_to(later)
        dial_what_is_due(later)
        assert len(MemoryCarrier.placed) == 1
        end(CallLog.objects.get())
        dial_what_is_due(later)

        assert len(MemoryCarrier.placed) == 2
        assert CallLog.objects.filter(occurrence=later, status=S.QUEUED).exists()


class TestWindow:
    WINDOW = {"start": "08:00", "end": "12:30"}

    def test_within_it_a_call_is_dialled(self):
        due(calling_window=self.WINDOW)

        dial_what_is_due()

        assert len(MemoryCarrier.placed) == 1

    def test_what_comes_late_until_it_is_closed_is_missed(self, clock):
        due(calling_window={"start": "08:00", "end": "12:01"})

        clock.shift(timedelta(minutes=2))
        dial_what_is_due(NOW + timedelta(minutes=2))

        log = CallLog.objects.get()
        assert MemoryCarrier.placed == []
        assert (log.status, log.error_code) == (S.MISSED, "window")
        assert "08:00 to 12:01" in log.error_message

    def test_what_was_moved_out_of_it_waits_for_the_next_opening(self, clock):
        due(calling_window={"start": "13:00", "end": "14:00"})

        dial_what_is_due()

        armed, opening = ActiveSchedule.objects.get(), NOW + timedelta(hours=1)
        assert (armed.next_execution, armed.due_at, armed.occurrence) == (opening, opening, NOW)
        clock.move_to(opening)
        dial_what_is_due(opening)
        assert len(MemoryCarrier.placed) == 1
        assert CallLog.objects.get().lateness == timedelta()

    def test_but_not_where_the_next_occurrence_comes_first(self):
        armed = due(repeat_config=HOURLY, calling_window={"start": "11:00", "end": "12:00"})

        dial_what_is_due()

        log = CallLog.objects.get()
        assert (log.status, log.error_code, log.occurrence) == (
            S.MISSED,
            "window",
            armed.occurrence,
        )
