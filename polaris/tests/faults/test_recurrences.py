"""Repetitions, retries and overlaps under dying runners."""

from datetime import timedelta
from itertools import pairwise

import pytest

from polaris.tests.faults.engine import (
    PATIENCE,
    Engine,
    arranged,
    arranged_together,
    comes_to_rest,
    kill,
    let_leases_run_out,
    moment,
)
from polaris.tests.faults.evidence import check_exactly_once, story
from polaris.tests.stack import wait_until
from schedules.models import ActiveSchedule, CallSchedule
from tracking.models import CallLog

pytestmark = pytest.mark.faults

HOLDS_LONG = {"SCHEDULER_LEASE_SECONDS": "600"}
COMPLETED = ("completed", "")
NOT_PLACED = ("failed", "not_placed")
BUSY = ("busy", "busy")


def test_the_next_occurrence_is_armed_whoever_dies_with_the_last(engine: Engine, client_of_web):
    """Of three occurrences two are past: the first is overtaken, the second dialled late."""
    first = moment(-3650)
    expected = {
        "within the claim": [COMPLETED],
        "after the claim": [COMPLETED],
        "after the opening of the ledger": [NOT_PLACED, COMPLETED],
        "after the answer": [COMPLETED],
        "after the answer is written": [COMPLETED],
    }
    victims = {}
    for step in expected:
        victims[step] = arranged(at=first, repeat_config={"frequency": "hourly", "count": 3})
        engine.run_until_dead(step, **HOLDS_LONG)

    let_leases_run_out()
    for _ in range(2):
        engine.start_runner()
    wait_until(
        lambda: (
            not CallLog.objects.unsettled().exists()
            and set(CallSchedule.objects.values_list("status", flat=True)) == {"scheduled"}
            and not ActiveSchedule.objects.filter(next_execution__lte=moment(60)).exists()
        ),
        what="every schedule waits for its last occurrence",
        patience=PATIENCE,
    )

    overtaken = ("missed", "missed")
    told = {step: story(schedule) for step, schedule in victims.items()}
    assert told == {step: [overtaken, *attempts] for step, attempts in expected.items()}
    last = first + timedelta(hours=2)
    assert set(ActiveSchedule.objects.values_list("occurrence", "attempt")) == {(last, 1)}
    check_exactly_once(engine.carrier)


def test_a_retry_policy_is_followed_by_whoever_is_left(engine: Engine, client_of_web):
    """Busy every time: three attempts, and no fourth."""
    policy = {"on": ["busy"], "attempts": 3, "delays": [1, 2]}
    schedules = arranged_together(["01"] * 8, retry_policy=policy)
    first, second = (engine.start_runner() for _ in range(2))
    wait_until(CallLog.objects.filter(attempt=2).exists, what="a second attempt", patience=PATIENCE)

    kill(first)
    third = engine.start_runner()
    kill(second)
    comes_to_rest()

    assert third.poll() is None
    for schedule in schedules:
        made = [said for said in story(schedule) if said != ("failed", "not_placed")]
        assert made == [BUSY] * 3
    assert engine.carrier.accepted() == 24
    check_exactly_once(engine.carrier)


def test_a_retry_waits_its_delay_and_stops_at_success(engine: Engine, client_of_web):
    policy = {"on": ["busy"], "attempts": 3, "delays": [2]}
    busy, talked = arranged_together(["01", "99"], retry_policy=policy)

    engine.start_runner()
    comes_to_rest()

    assert story(busy) == [BUSY] * 3
    assert story(talked) == [COMPLETED]
    logs = list(CallLog.objects.filter(schedule=busy).order_by("attempt"))
    for last, following in pairwise(logs):
        assert following.timestamp - last.end_time >= timedelta(seconds=1)  # Twilio tells seconds
        assert following.due_at > last.due_at


@pytest.mark.parametrize("carrier", [{"speed": 50.0}], indirect=True)
def test_an_occurrence_during_the_last_call_is_skipped_or_waits(engine: Engine, client_of_web):
    """Ending 05 is talked for 12 s here; the next occurrence comes some seconds into it."""
    for _ in range(2):
        engine.start_runner(SCHEDULER_MISFIRE_GRACE_TIME="7200")
    rule = {"frequency": "hourly", "count": 2}
    first = moment(4 - 3600)
    skips, waits = (
        arranged("05", at=first, repeat_config=rule, overlap=overlap)
        for overlap in ("skip", "wait")
    )

    armed = wait_until(
        ActiveSchedule.objects.exclude(waits_on="").first, what="one waits", patience=PATIENCE
    )
    wait_until(lambda: len(story(skips)) == 2, what="the other is skipped", patience=PATIENCE)
    comes_to_rest()

    assert armed.schedule_id == waits.pk
    assert "is not over" in armed.waits_for
    assert story(skips) == [COMPLETED, ("missed", "overlap")]
    assert "was not over" in CallLog.objects.get(status="missed").error_message
    assert story(waits) == [COMPLETED, COMPLETED]
    check_exactly_once(engine.carrier)
