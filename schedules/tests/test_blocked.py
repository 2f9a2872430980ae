"""Somebody notices that runners live and cannot dial."""

from datetime import UTC, datetime, timedelta

import pytest

from schedules import blocked, runner
from schedules.models import Runner
from schedules.tests.factories import ActiveScheduleFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TROUBLE = "the broker takes nothing"


@pytest.fixture(autouse=True)
def clock(time_machine, settings, monkeypatch):
    settings.RUNNER_MISSING_SECONDS = 60
    monkeypatch.setattr(blocked, "_seen", blocked._Seen())
    time_machine.move_to(NOW, tick=False)
    return time_machine


@pytest.fixture
def armed():
    return ActiveScheduleFactory(schedule__scheduled_time=NOW - timedelta(seconds=5))


@pytest.fixture
def beat(clock, monkeypatch):
    """All these runners beat, in the first so many seconds or from there on."""

    def run(troubles: dict[Runner, str | None], seconds: range) -> None:
        for second in seconds:
            clock.move_to(NOW + timedelta(seconds=second), tick=False)
            monkeypatch.setattr(blocked.time, "monotonic", lambda second=second: float(second))
            for one, trouble in troubles.items():
                runner.beat(one.pk, lambda trouble=trouble: trouble)

    return run


def a_runner() -> Runner:
    return Runner.objects.create(host="calls", process_id=1)


def names(told):
    return [event.name for event in told]


def test_runners_that_cannot_dial_are_told_of_once_and_when_they_can_again(told, armed, beat):
    one, other = a_runner(), a_runner()

    beat({one: TROUBLE, other: TROUBLE}, range(0, 60, 5))
    at_first = names(told)
    beat({one: TROUBLE, other: TROUBLE}, range(60, 200, 5))
    beat({one: TROUBLE, other: None}, range(200, 220, 5))

    assert at_first == []
    assert names(told) == ["runner.blocked", "runner.unblocked"]
    assert told[0].data == {
        "since": "2030-01-01T12:00:00Z",
        "reason": TROUBLE,
        "next_execution": "2030-01-01T11:59:55Z",
        "waiting": 1,
    }
    assert told[1].data == {"since": "2030-01-01T12:00:00Z"}


def test_one_that_can_dial_is_enough(told, armed, beat):
    beat({a_runner(): TROUBLE, a_runner(): None}, range(0, 200, 5))

    assert told == []


def test_trouble_that_comes_and_goes_is_no_alarm(told, armed, beat):
    one = a_runner()
    for start in range(0, 400, 100):
        beat({one: TROUBLE}, range(start, start + 55, 5))
        beat({one: None}, range(start + 55, start + 100, 5))

    assert told == []


def test_nobody_is_alarmed_while_nothing_is_armed(told, beat):
    beat({a_runner(): TROUBLE}, range(0, 200, 5))

    assert told == []
