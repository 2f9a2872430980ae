"""What keeps all that is due from being dialled, in words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

from schedules import gate
from schedules.claims import claim_due
from schedules.models import Runner
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.held_up import what_holds_up
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def runner() -> Runner:
    return Runner.objects.create(host="a", process_id=1)


def told(now=NOW) -> str:
    return what_holds_up(gate.current(), now=now, zone=ZoneInfo("Europe/Berlin"))


def test_nothing_is_known_that_does(runner):
    assert told() == ""


def test_a_closed_gate(runner):
    gate.close("The account is suspended.")

    assert told() == (
        "Nothing is dialled since Tue 1 Jan 2030, 13:00 Europe/Berlin: The account is suspended."
    )


def test_no_runner():
    Runner.objects.create(host="a", process_id=1, role=Runner.Role.WORKER)
    Runner.objects.create(host="b", process_id=1, last_seen_at=NOW - timedelta(minutes=1))

    assert told() == "No runner is there to dial."


def test_all_runners_in_trouble(runner):
    Runner.objects.update(trouble="Celery's broker is away.")
    assert told() == "No runner can dial: Celery's broker is away."

    Runner.objects.create(host="b", process_id=1)
    assert told() == ""


def test_no_worker_where_runners_hand_over_to_workers(runner, settings):
    settings.SCHEDULER_EXECUTOR = "celery"
    assert told() == "No worker of Celery is there to dial."

    Runner.objects.create(host="b", process_id=1, role=Runner.Role.WORKER)
    assert told() == ""


def test_as_many_calls_as_may_be_at_a_time(runner, settings):
    settings.MAX_CONCURRENT_CALLS = 2
    for number in ("+15005550006", "+15005550007"):
        assert told() == ""
        CallLogFactory(status=CallLog.Status.RINGING, phone=number)

    assert told() == "As many calls are under way as may be at a time: 2."


def test_the_pace_while_slots_are_given_out_as_fast_as_it_lets(runner, settings, clock):
    settings.CALLS_PER_SECOND = 2
    for _ in range(2):
        ActiveScheduleFactory(schedule=CallScheduleFactory(scheduled_time=NOW))
    lease = timedelta(seconds=60)

    claim_due(runner_id=runner.pk, moment=NOW, limit=9, lease=lease)

    assert told() == "Calls begin at 2 a second at most, and others were due before it."
    clock.shift(timedelta(seconds=1))
    assert told(NOW + timedelta(seconds=1)) == ""
