"""The pace, the number of calls at a time and one call a number, kept by all runners together."""

import random
import time
from bisect import bisect_left
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from polaris.tests.faults.engine import (
    PATIENCE,
    Engine,
    arranged,
    arranged_together,
    comes_to_rest,
    kill,
    moment,
    number,
)
from polaris.tests.faults.evidence import check_exactly_once, summary
from polaris.tests.stack import wait_until
from tracking.models import CallLog

pytestmark = pytest.mark.faults

PACE = 20
# The gate gives slots 50 ms apart, and of these a span holds one more than its length where both
# its ends are slots. On its way from its slot to the carrier a call meets threads, a ledger and a
# loaded machine: who is late by this much arrives together with those that are not. A burst would
# be the 24 calls that three runners have places for.
LATE_SECONDS = 0.25


def accepted_at(engine: Engine) -> list[datetime]:
    """When the carrier took each call, by its own clock."""
    return sorted(datetime.fromisoformat(call["created_at"]) for call in engine.carrier.calls())


def most_within(seconds: float, moments: list[datetime]) -> int:
    """The largest number of them in any window of that length, its end not included."""
    span = timedelta(seconds=seconds)
    return max(bisect_left(moments, each + span) - n for n, each in enumerate(moments))


def check_pace(engine: Engine) -> None:
    """No window holds more creates than the pace allows, be it short or long."""
    moments = accepted_at(engine)
    most = {seconds: most_within(seconds, moments) for seconds in (0.5, 1, 2, 4)}
    print("the most creates within so many seconds:", most)  # noqa: T201 (shown on failure)
    for seconds, number_of_creates in most.items():
        assert number_of_creates <= PACE * (seconds + LATE_SECONDS) + 1, most


def most_at_once(calls: list[dict]) -> int:
    """The largest number of calls that were live together, by the carrier's own clock."""
    turns = [(call["created_at"], 1) for call in calls] + [(call["ended_at"], -1) for call in calls]
    live = most = 0
    for _, change in sorted(turns):  # an end before a beginning at the same moment
        live += change
        most = max(most, live)
    return most


def test_the_pace_is_that_of_all_runners_and_has_no_burst_after_an_outage(
    engine: Engine, client_of_web
):
    """Three runners are killed in the middle of a backlog, which grows while none is there."""
    for _ in range(60):
        arranged(at=moment(-random.uniform(5, 60)))
    runners = [engine.start_without_waiting(CALLS_PER_SECOND=str(PACE)) for _ in range(3)]
    wait_until(lambda: engine.carrier.accepted() >= 30, what="30 calls", patience=PATIENCE)

    for runner in runners:
        kill(runner)
    arranged_together(["99"] * 30)
    time.sleep(3)
    for _ in runners:
        engine.start_without_waiting(CALLS_PER_SECOND=str(PACE))
    comes_to_rest()

    check_pace(engine)
    assert engine.carrier.accepted() == 90
    check_exactly_once(engine.carrier)


def test_what_waits_is_dialled_in_the_order_of_its_due_time(engine: Engine, client_of_web):
    schedules = [arranged(at=moment(-random.uniform(5, 100))) for _ in range(50)]
    for _ in range(3):
        engine.start_without_waiting(CALLS_PER_SECOND=str(PACE))
    comes_to_rest()

    due = [schedule.scheduled_time for schedule in schedules]
    dialled = list(CallLog.objects.order_by("timestamp").values_list("due_at", flat=True))
    places = {at: place for place, at in enumerate(sorted(due))}
    astray = sorted(abs(places[at] - place) for place, at in enumerate(dialled))
    # Neighbours may change places on the way to the carrier, for each has a thread of its own; and
    # the first call of a process that has just started may take its second.
    assert astray[len(astray) * 9 // 10] <= PACE / 2
    assert astray[-1] <= 2 * PACE
    check_pace(engine)


def test_what_waits_for_the_pace_past_its_grace_is_missed_with_the_reason(
    engine: Engine, client_of_web
):
    """One call in two seconds, and six of grace."""
    for _ in range(2):  # ready first: to start may take them longer than the grace time
        engine.start_runner(CALLS_PER_SECOND="0.5", SCHEDULER_MISFIRE_GRACE_TIME="6")

    schedules = arranged_together(["99"] * 8)
    comes_to_rest()

    said = summary()
    assert said["completed"] + said["missed"] == len(schedules)
    assert 1 <= said["completed"] <= 4
    assert said["completed"] == engine.carrier.accepted()
    for log in CallLog.objects.filter(status="missed"):
        assert "before a runner could dial it" in log.error_message


def test_no_more_calls_are_live_than_allowed(engine: Engine, client_of_web):
    arranged_together(["99", "01", "99", "22", "23"] * 5)

    for _ in range(3):
        engine.start_without_waiting(MAX_CONCURRENT_CALLS="3")
    comes_to_rest()

    assert engine.carrier.accepted() == 25
    assert most_at_once(engine.carrier.calls()) <= 3
    check_exactly_once(engine.carrier)


def test_a_number_has_one_live_call_whatever_its_schedules(engine: Engine, client_of_web):
    phone = number()
    arranged_together(["99"] * 5, phone=phone)
    arranged_together(["99"] * 5)

    for _ in range(3):
        engine.start_without_waiting()
    comes_to_rest()

    calls = [call for call in engine.carrier.calls() if call["to"] == phone]
    assert len(calls) == 5
    assert all(last["ended_at"] <= following["created_at"] for last, following in pairwise(calls))
    assert engine.carrier.accepted() == 10
    check_exactly_once(engine.carrier)
