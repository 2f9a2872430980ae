"""What needs nobody who dials is written down by the runner itself."""

from datetime import timedelta

import pytest
from django.utils import timezone

from schedules.models import ActiveSchedule
from schedules.tests.factories import ActiveScheduleFactory
from schedules.writing_down import write_down
from tracking.carriers.memory import MemoryCarrier
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db


def armed(ago: float, **fields) -> ActiveSchedule:
    moment = timezone.now() - timedelta(seconds=ago)
    return ActiveScheduleFactory(schedule__scheduled_time=moment, **fields)


def test_misses_and_calls_of_the_dead_are_written_down_and_nothing_is_dialled():
    late, in_time = armed(400), armed(1)
    over = timezone.now() - timedelta(seconds=1)
    begun = armed(1, status="running", lease="lease_dead", leased_until=over)
    CallLogFactory(
        schedule=begun.schedule,
        occurrence=begun.occurrence,
        attempt=begun.attempt,
        status=CallLog.Status.PENDING,
    )

    write_down("runner_a")

    statuses = dict(CallLog.objects.values_list("schedule_id", "status"))
    assert statuses == {
        late.schedule_id: CallLog.Status.MISSED,
        begun.schedule_id: CallLog.Status.UNKNOWN,
    }
    assert [row.pk for row in ActiveSchedule.objects.all()] == [in_time.pk]
    assert MemoryCarrier.placed == []


def test_all_that_is_late_is_written_down_in_one_turn(monkeypatch):
    monkeypatch.setattr("schedules.writing_down._AT_ONCE", 2)
    for _ in range(5):
        armed(400)

    write_down("runner_a")

    assert CallLog.objects.filter(status=CallLog.Status.MISSED).count() == 5


def test_one_that_cannot_be_written_down_does_not_keep_the_others_from_it(settings, caplog):
    settings.SCHEDULER_JOB = "tracking.tests.test_writing_down:fail_once"
    failed.clear()
    armed(400)
    armed(400)

    write_down("runner_a")

    assert len(failed) == 2
    assert "could not be written down" in caplog.text


failed: list[str] = []


def fail_once(armed_id: str, lease: str, begins_at: float) -> None:
    """A job that trips over its first row."""
    failed.append(armed_id)
    if len(failed) == 1:
        raise ValueError("this row is broken")
