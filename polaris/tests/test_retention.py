"""What is old goes, by kind; what is live or waits stays, however old it is."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.management import call_command
from django.utils import timezone

from polaris import retention
from schedules.models import ActiveSchedule, CallSchedule, Pause
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.explaining import Slot, explain
from tracking.models import CallLog, Notification
from tracking.states import FINAL, UNSETTLED
from tracking.tests.factories import CallLogFactory, NotificationFactory
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db

LONG_AGO = timezone.now() - timedelta(days=100)


@pytest.fixture(autouse=True)
def _ten_days_each(settings):
    settings.RETENTION = {kind: entry | {"days": 10} for kind, entry in settings.RETENTION.items()}
    settings.RETAIN_LOGS_DAYS = 10


def old_log(**fields) -> CallLog:
    return CallLogFactory(**{"timestamp": LONG_AGO, "last_updated": LONG_AGO} | fields)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_logs_of_calls_that_are_over_go(status):
    old_log(status=status)
    recent = CallLogFactory(status=status)

    retention.prune()

    assert CallLog.objects.get() == recent


@pytest.mark.parametrize("status", sorted(UNSETTLED))
def test_logs_of_calls_that_are_not_over_stay(status):
    old_log(status=status)

    retention.prune()

    assert CallLog.objects.exists()


def test_the_log_of_an_occurrence_that_is_armed_stays():
    """Without it the same attempt could be opened a second time."""
    armed = ActiveScheduleFactory(occurrence=LONG_AGO)
    kept = old_log(schedule=armed.schedule, occurrence=LONG_AGO, status="failed")
    old_log(schedule=armed.schedule, occurrence=LONG_AGO - timedelta(1), status="failed")

    retention.prune()

    assert CallLog.objects.get() == kept


def test_schedules_that_are_over_go_and_their_logs_stay():
    over = CallScheduleFactory(status="completed", last_updated=LONG_AGO)
    CallLogFactory(schedule=over, status="completed")

    retention.prune()

    assert not CallSchedule.objects.exists()
    assert CallLog.objects.exists()


@pytest.mark.parametrize("status", ["scheduled", "pending", "running", "paused"])
def test_schedules_that_are_not_over_stay(status):
    CallScheduleFactory(status=status, last_updated=LONG_AGO)

    retention.prune()

    assert CallSchedule.objects.exists()


def test_a_cancelled_schedule_whose_call_is_still_on_the_line_stays():
    over = CallScheduleFactory(status="cancelled", last_updated=LONG_AGO)
    CallLogFactory(schedule=over, status="in_progress")

    retention.prune()

    assert CallSchedule.objects.exists()


def test_an_armed_row_and_its_schedule_stay():
    ActiveScheduleFactory(schedule__status="completed", schedule__last_updated=LONG_AGO)

    retention.prune()

    assert ActiveSchedule.objects.exists()


def test_webhooks_that_were_acted_upon_go():
    fields = {"received_at": LONG_AGO, "call_id": "CA1"}
    waiting = WebhookEvent.objects.create(fingerprint="1", **fields)
    WebhookEvent.objects.create(fingerprint="2", processed_at=LONG_AGO, **fields)

    retention.prune()

    assert WebhookEvent.objects.get() == waiting


def test_notifications_that_wait_stay():
    NotificationFactory(status="sent", last_updated=LONG_AGO)
    waiting = NotificationFactory(last_updated=LONG_AGO)

    retention.prune()

    assert Notification.objects.get() == waiting


def test_ended_pauses_go_with_the_logs():
    Pause.objects.create(schedule=CallScheduleFactory(), began_at=LONG_AGO, ended_at=LONG_AGO)
    going_on = Pause.objects.create(schedule=CallScheduleFactory(), began_at=LONG_AGO)

    retention.prune()

    assert Pause.objects.get() == going_on


def test_the_admins_history_goes_with_the_audit(operator):
    for _ in range(2):
        LogEntry.objects.log_actions(operator.pk, [operator], CHANGE, single_object=True)
    LogEntry.objects.filter(pk=LogEntry.objects.earliest("pk").pk).update(action_time=LONG_AGO)

    assert retention.prune()["admin history"] == 1

    assert LogEntry.objects.get().action_time > LONG_AGO


def test_more_than_a_batch_goes(monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    for _ in range(5):
        old_log(status="completed")

    assert retention.prune()["call logs"] == 5


def test_zero_days_keep_for_ever(settings):
    settings.RETENTION = {kind: entry | {"days": 0} for kind, entry in settings.RETENTION.items()}
    old_log(status="completed")

    assert set(retention.prune().values()) == {0}
    assert CallLog.objects.exists()


def test_the_command_counts_first(capsys):
    old_log(status="completed")

    call_command("prune", "--dry-run")

    assert "call logs: 1 to delete" in capsys.readouterr().out
    assert CallLog.objects.exists()


def test_the_command_deletes(capsys):
    old_log(status="completed")

    call_command("prune")

    assert "call logs: 1 deleted" in capsys.readouterr().out
    assert not CallLog.objects.exists()


def test_an_occurrence_whose_log_is_gone_is_not_explained_wrongly():
    schedule = CallScheduleFactory(created_at=LONG_AGO)

    (explained,) = explain(schedule, [Slot(LONG_AGO, LONG_AGO)], now=timezone.now())

    assert "has been deleted" in explained.reason
