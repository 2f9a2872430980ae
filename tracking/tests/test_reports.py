"""What a carrier says moves a call forward only, in whatever order it comes."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from schedules.models import ActiveSchedule, CallSchedule, CallType
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.carriers.base import CallReport
from tracking.models import CallLog
from tracking.reports import Verdict, apply_report
from tracking.states import FINAL, TRANSITIONS, CallStatus
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

S = CallStatus
CALL_ID = "CA" + "1" * 32
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def report(status, **more) -> CallReport:
    return CallReport(**{"call_id": CALL_ID, "status": status, "at": NOON} | more)


def running_call(status=S.QUEUED, **fields) -> CallLog:
    schedule = CallScheduleFactory(status=ScheduleStatus.RUNNING)
    return CallLogFactory(schedule=schedule, status=status, call_id=CALL_ID, **fields)


@pytest.mark.parametrize("before", S.values)
@pytest.mark.parametrize("said", [s for s in S.values if s not in {S.MISSED, S.UNKNOWN, S.PENDING}])
def test_a_call_moves_as_the_table_says(before, said):
    log = running_call(before)

    verdict = apply_report(report(S(said)))

    log.refresh_from_db()
    forward = TRANSITIONS.allows(before, said)
    assert verdict is (Verdict.APPLIED if forward else Verdict.LATE)
    assert log.status == (said if forward else before)


@pytest.mark.parametrize(
    "order", list(permutations([S.INITIATED, S.RINGING, S.IN_PROGRESS, S.COMPLETED]))
)
def test_reports_in_any_order_end_in_the_same_state(order):
    log = running_call()

    for status in order:
        seconds = 10 if status == S.COMPLETED else None
        at = NOON + timedelta(seconds=seconds or 0)
        apply_report(report(status, duration=seconds, at=at))

    log.refresh_from_db()
    assert log.status == S.COMPLETED
    assert log.duration == 10
    assert log.start_time == NOON
    assert log.end_time == NOON + timedelta(seconds=10)
    assert CallSchedule.objects.get().status == ScheduleStatus.COMPLETED


@pytest.mark.parametrize("ended", sorted(FINAL - {S.COMPLETED, S.MISSED}))
def test_an_unsuccessful_end_fails_the_schedule_with_its_reason(ended):
    log = running_call()

    apply_report(report(ended))

    log.refresh_from_db()
    schedule = CallSchedule.objects.get()
    assert log.error_code == ended
    assert log.error_message
    assert schedule.status == ScheduleStatus.FAILED
    assert schedule.status_reason == log.error_message


def test_a_report_that_is_quicker_than_the_answer_finds_its_attempt():
    log = running_call(S.PENDING)
    CallLog.objects.update(call_id="")
    ActiveScheduleFactory(
        schedule=log.schedule, occurrence=log.occurrence, status=ActiveSchedule.Status.RUNNING
    )

    apply_report(report(S.COMPLETED, attempt_id=log.pk, duration=3))

    log.refresh_from_db()
    assert (log.status, log.call_id) == (S.COMPLETED, CALL_ID)
    # The runner that waits for the answer settles.
    assert CallSchedule.objects.get().status == ScheduleStatus.RUNNING


def test_an_unknown_call_is_settled_by_its_first_report():
    log = running_call(S.UNKNOWN, error_code="ambiguous", error_message="We do not know.")
    CallLog.objects.update(call_id="")

    apply_report(report(S.RINGING, attempt_id=log.pk))

    log.refresh_from_db()
    assert (log.status, log.call_id) == (S.RINGING, CALL_ID)
    assert (log.error_code, log.error_message) == ("", "")


def test_two_calls_for_one_attempt_are_a_conflict():
    log = running_call()

    verdict = apply_report(report(S.COMPLETED, call_id="CA" + "2" * 32, attempt_id=log.pk))

    log.refresh_from_db()
    assert verdict is Verdict.CONFLICT
    assert log.status == S.QUEUED


def test_a_call_that_somebody_else_placed_gets_a_log_of_its_own():
    verdict = apply_report(report(S.RINGING, phone="+15005550001", is_inbound=True))
    apply_report(report(S.COMPLETED, duration=7))

    log = CallLog.objects.get()
    assert verdict is Verdict.CREATED
    assert (log.status, log.duration, log.call_type) == (S.COMPLETED, 7, CallType.INBOUND)
    assert log.schedule_id is None


def test_the_call_of_a_deleted_schedule_is_still_followed():
    log = running_call()
    CallSchedule.objects.all().delete()

    apply_report(report(S.COMPLETED, duration=7))

    assert CallLog.objects.get().status == S.COMPLETED
    assert CallLog.objects.get().schedule_id == log.schedule_id


@pytest.mark.parametrize("status", [ScheduleStatus.PAUSED, ScheduleStatus.CANCELLED])
def test_the_end_of_a_call_does_not_undo_a_pause_or_a_cancellation(status):
    log = running_call()
    CallSchedule.objects.update(status=status)

    apply_report(report(S.COMPLETED))

    log.refresh_from_db()
    assert log.status == S.COMPLETED
    assert CallSchedule.objects.get().status == status


def test_a_recurring_schedule_waits_for_its_next_call():
    log = running_call()
    ActiveScheduleFactory(schedule=log.schedule)

    apply_report(report(S.BUSY))

    assert CallSchedule.objects.get().status == ScheduleStatus.SCHEDULED


def test_a_recurring_schedule_is_complete_after_its_last_call():
    log = running_call()
    CallSchedule.objects.update(repeat_config={"enabled": True, "frequency": "daily"})

    apply_report(report(S.BUSY))

    assert log.schedule_id
    assert CallSchedule.objects.get().status == ScheduleStatus.COMPLETED


def test_a_schedule_runs_until_the_last_of_its_calls_has_ended():
    log = running_call()
    CallLogFactory(schedule=log.schedule, occurrence=NOON + timedelta(days=1), status=S.IN_PROGRESS)

    apply_report(report(S.COMPLETED))

    assert CallSchedule.objects.get().status == ScheduleStatus.RUNNING
