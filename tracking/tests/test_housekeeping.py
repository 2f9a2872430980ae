"""What the engine puts right by itself."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from polaris.retention import prune
from schedules.models import ActiveSchedule, CallSchedule, Runner
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.housekeeping import recover
from tracking.models import CallLog, Notification
from tracking.settlement import settle
from tracking.tests.factories import CallLogFactory, NotificationFactory

pytestmark = pytest.mark.django_db

S = CallLog.Status
KEPT = timedelta(days=settings.RETAIN_TRACES_DAYS)


def long_ago(rows, field="last_updated", span=timedelta(days=1)) -> None:
    rows.update(**{field: timezone.now() - span})


def open_attempt(**fields) -> CallLog:
    schedule = CallScheduleFactory(status=ScheduleStatus.RUNNING, **fields)
    return CallLogFactory(schedule=schedule, status=S.PENDING, call_id="")


def test_an_attempt_that_nobody_holds_any_more_becomes_unknown():
    log = open_attempt()
    long_ago(CallLog.objects)

    recover()

    log.refresh_from_db()
    assert log.status == S.UNKNOWN
    assert CallSchedule.objects.get().status_reason == log.error_message


def test_an_attempt_whose_answer_may_still_come_is_left_alone():
    log = open_attempt()
    long_ago(CallLog.objects, span=settings.SCHEDULER_LEASE - timedelta(seconds=5))

    recover()

    log.refresh_from_db()
    assert log.status == S.PENDING


def test_an_attempt_whose_claim_can_be_taken_over_is_left_to_the_next_runner():
    log = open_attempt()
    ActiveScheduleFactory(
        schedule=log.schedule, occurrence=log.occurrence, status=ActiveSchedule.Status.RUNNING
    )
    long_ago(CallLog.objects)

    recover()

    log.refresh_from_db()
    assert log.status == S.PENDING


def test_a_schedule_whose_calls_have_all_ended_is_settled():
    schedule = CallScheduleFactory(status=ScheduleStatus.RUNNING)
    CallLogFactory(schedule=schedule, status=S.COMPLETED)
    long_ago(CallSchedule.objects)

    recover()

    schedule.refresh_from_db()
    assert schedule.status == ScheduleStatus.COMPLETED


def test_pruning_forgets_old_traces_and_keeps_what_is_owed():
    NotificationFactory(status=Notification.Status.SENT)
    NotificationFactory(status=Notification.Status.FAILED)
    waiting = NotificationFactory()
    Runner.objects.create(host="old", process_id=1)
    long_ago(Notification.objects, span=KEPT * 2)
    long_ago(Runner.objects, "last_seen_at", KEPT * 2)
    fresh = Runner.objects.create(host="new", process_id=2)
    CallLogFactory()
    long_ago(CallLog.objects, "timestamp", KEPT * 2)

    prune()

    assert list(Notification.objects.all()) == [waiting]
    assert list(Runner.objects.all()) == [fresh]
    assert CallLog.objects.count() == 1


def test_a_schedule_that_cannot_be_settled_does_not_keep_the_others(monkeypatch):
    broken, schedule = CallScheduleFactory.create_batch(2, status=ScheduleStatus.RUNNING)
    for each in (broken, schedule):
        CallLogFactory(schedule=each, status=S.COMPLETED)
    long_ago(CallSchedule.objects)

    def fail_once(schedule_id):
        if schedule_id == broken.pk:
            raise RuntimeError
        settle(schedule_id)

    monkeypatch.setattr("tracking.housekeeping.settle", fail_once)

    recover()

    schedule.refresh_from_db()
    assert schedule.status == ScheduleStatus.COMPLETED
