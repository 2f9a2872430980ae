"""Celery between the claim and the carrier: whatever dies or is delivered twice, one create."""

import base64
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from polaris.tests.faults.broker import BINARY, PASSWORD, Broker
from polaris.tests.faults.engine import (
    PATIENCE,
    Engine,
    arranged,
    arranged_together,
    comes_to_rest,
    kill,
    let_leases_run_out,
    let_silence_pass,
    moment,
)
from polaris.tests.faults.evidence import check_exactly_once, check_nothing_lost, story, summary
from polaris.tests.faults.test_deaths import DIALLED, DIALLED_AGAIN, HOLDS_LONG
from polaris.tests.faults.test_pace import PACE, check_pace
from polaris.tests.stack import wait_until
from schedules import gate
from schedules.models import ActiveSchedule, CallSchedule, Runner
from tracking.models import CallLog

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not BINARY, reason="there is no redis-server here"),
]


@pytest.fixture
def broker(tmp_path: Path, engine: Engine) -> Iterator[Broker]:
    """The engine's processes use it; it ends after them."""
    broker = Broker(tmp_path)
    broker.start()
    engine.environment |= {"SCHEDULER_EXECUTOR": "celery", "CELERY_BROKER_URL": broker.url}
    yield broker
    engine.stop()
    broker.kill()
    said = engine.log_of("runner") + engine.log_of("worker")
    assert not [secret for secret in (PASSWORD, quote(PASSWORD), "+4915") if secret in said]


def pause(worker: subprocess.Popen[bytes]) -> None:
    """It hangs, and is thought to be alive for a while."""
    worker.send_signal(signal.SIGSTOP)


def go_on(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGCONT)


def handed_over(number: int) -> None:
    """So many are claimed, and their messages have been sent or are about to be."""
    claimed = ActiveSchedule.objects.filter(status="pending")
    wait_until(lambda: claimed.count() == number, what="they are claimed", patience=PATIENCE)


def test_a_worker_that_dies_before_during_or_after_the_post(
    engine: Engine, broker: Broker, client_of_web
):
    """And the runner dies with what it has handed over; others take over when the leases end."""
    runner = engine.start_runner(**HOLDS_LONG)
    early = arranged()
    victims: dict[str, CallSchedule] = {}
    for step in (
        "within the opening of the ledger",
        "before the create is sent",
        "after the answer",
    ):
        dying = engine.start_dying_worker(step, **HOLDS_LONG)
        victims[step] = victims.get(step) or (arranged() if victims else early)
        engine.wait_for_death(dying)
    stuck = engine.start_worker(**HOLDS_LONG, TWILIO_READ_TIMEOUT="60")
    victims["during the POST"] = arranged("17")
    accepted = engine.carrier.accepted() + 1
    wait_until(lambda: engine.carrier.accepted() >= accepted, what="it is taken", patience=PATIENCE)
    kill(stuck)
    kill(runner)

    let_leases_run_out()
    Runner.objects.update(stopped_at=moment(0))
    waiting, told = arranged(), engine.times_logged("runner", "no worker is alive")
    engine.start_runner()
    wait_until(
        lambda: engine.times_logged("runner", "no worker is alive") > told,
        what="the runner tells that it has nobody to dial",
        patience=PATIENCE,
    )
    assert ActiveSchedule.objects.get(schedule=waiting).lease == ""
    engine.start_worker()
    comes_to_rest(let_silence_pass)

    check_exactly_once(engine.carrier)
    check_nothing_lost([*victims.values(), waiting])
    assert {step: story(schedule) for step, schedule in victims.items()} == {
        "within the opening of the ledger": DIALLED,
        "before the create is sent": DIALLED_AGAIN,
        "after the answer": DIALLED,
        "during the POST": DIALLED,
    }
    assert story(waiting) == DIALLED
    assert engine.carrier.accepted() == 5


def test_a_runner_that_dies_before_its_claims_are_handed_over(
    engine: Engine, broker: Broker, client_of_web
):
    """Their schedules are not pending yet, and no worker hears of them."""
    engine.start_worker()
    schedule = arranged()
    engine.run_until_dead("between the claim and its schedule", **HOLDS_LONG)

    schedule.refresh_from_db()
    assert schedule.status == CallSchedule.Status.SCHEDULED
    assert ActiveSchedule.objects.get().status == ActiveSchedule.Status.PENDING
    let_leases_run_out()
    engine.start_runner()
    comes_to_rest()

    check_exactly_once(engine.carrier)
    check_nothing_lost([schedule])
    assert story(schedule) == DIALLED
    assert engine.carrier.accepted() == 1


def test_a_message_that_comes_twice_late_or_after_its_runner_has_died(
    engine: Engine, broker: Broker, client_of_web
):
    runner = engine.start_runner(**HOLDS_LONG, LOG_LEVEL="DEBUG")
    worker = engine.start_worker(LOG_LEVEL="DEBUG")
    arranged()
    comes_to_rest()

    pause(worker)
    schedules = arranged_together(["99"] * 6)
    handed_over(6)
    # What a worker waits for may have been sent to it already; the rest is in the queue.
    wait_until(lambda: len(broker.messages()) >= 4, what="messages wait")
    messages = broker.messages()
    broker.deliver_again(messages)
    check_what_travels(messages)
    kill(runner)
    let_leases_run_out()
    other = engine.start_runner()
    wait_until(
        lambda: ActiveSchedule.objects.filter(status="pending").count() == 6,
        what="another runner has claimed them",
        patience=PATIENCE,
    )
    go_on(worker)
    comes_to_rest()

    check_exactly_once(engine.carrier)
    assert [story(schedule) for schedule in schedules] == [DIALLED] * 6
    assert engine.carrier.accepted() == 7

    pause(worker)
    held = arranged()
    handed_over(1)
    gate.close("Enough.", by="operator")
    go_on(worker)
    free = ActiveSchedule.objects.filter(schedule=held, status="scheduled", lease="")
    wait_until(free.exists, what="it is handed back", patience=PATIENCE)
    assert engine.carrier.accepted() == 7
    gate.reopen(by="operator")
    comes_to_rest()
    assert story(held) == DIALLED

    pause(worker)
    left = arranged()
    handed_over(1)
    other.terminate()
    assert other.wait(PATIENCE) == 0
    assert ActiveSchedule.objects.get(schedule=left).status == "scheduled"
    go_on(worker)
    engine.start_runner()
    comes_to_rest()
    assert story(left) == DIALLED
    check_exactly_once(engine.carrier)


def check_what_travels(messages: list[bytes]) -> None:
    """Ids, a moment and a flag: no number, and nothing that is unpickled."""
    assert messages
    for each in messages:
        message = json.loads(each)
        assert message["content-type"] == "application/json"
        (armed_id, lease, begins_at, is_trial), options, _ = json.loads(
            base64.b64decode(message["body"])
        )
        assert (armed_id[:7], lease[:6], options) == ("active_", "lease_", {})
        assert isinstance(begins_at, float)
        assert is_trial is False
        assert b"+4915" not in each


def test_a_broker_that_dies_with_all_it_holds(engine: Engine, broker: Broker, client_of_web):
    runner = engine.start_runner()
    worker = engine.start_worker()
    arranged()
    comes_to_rest()

    pause(worker)
    lost = arranged_together(["99"] * 4)
    handed_over(4)
    broker.kill()
    go_on(worker)
    late = arranged_together(["99"] * 4)
    wait_until(
        lambda: engine.times_logged("runner", "the broker takes nothing"),
        what="the runner tells that the broker is away",
        patience=PATIENCE,
    )
    assert runner.poll() is None
    troubled = Runner.objects.claiming().filter(trouble__contains="the broker takes nothing")
    wait_until(troubled.exists, what="operators are told", patience=PATIENCE)
    broker.start()
    comes_to_rest()
    wait_until(lambda: not troubled.exists(), what="it is all right again", patience=PATIENCE)

    check_exactly_once(engine.carrier)
    check_nothing_lost([*lost, *late])
    assert summary() == {"completed": 9}
    assert engine.times_logged("runner", "the broker is there again") == 1
    assert "Traceback" not in engine.log_of("runner")


def test_what_no_worker_takes_is_told_of_and_free_for_others(
    engine: Engine, broker: Broker, client_of_web
):
    """Workers live, and listen to another broker."""
    alarm = {"RUNNER_MISSING_SECONDS": "10"}
    engine.start_worker(CELERY_BROKER_URL=broker.url.removesuffix("0") + "1")
    engine.start_runner(**alarm)
    schedules = arranged_together(["99"] * 4)
    ignored = Runner.objects.claiming().filter(trouble__contains="none takes what is handed over")
    wait_until(ignored.exists, what="operators are told", patience=PATIENCE)
    wait_until(
        lambda: engine.times_logged("runner", "no runner can dial, and calls are armed"),
        what="the alarm is given",
        patience=PATIENCE,
    )
    assert engine.carrier.accepted() == 0

    engine.start_runner(**alarm, SCHEDULER_EXECUTOR="threads")
    comes_to_rest()

    check_exactly_once(engine.carrier)
    assert [story(schedule) for schedule in schedules] == [DIALLED] * 4
    assert engine.times_logged("runner", "a runner can dial again") == 1


def test_when_the_last_worker_is_gone_others_dial_and_misses_are_written_down(
    engine: Engine, broker: Broker, client_of_web
):
    worker = engine.start_worker()
    engine.start_runner()
    arranged()
    comes_to_rest()

    kill(worker)
    schedules = arranged_together(["99"] * 3)
    handed_over(3)
    Runner.objects.workers().update(last_seen_at=moment(-60))
    free = ActiveSchedule.objects.filter(status="scheduled", lease="")
    wait_until(lambda: free.count() == 3, what="they are given back", patience=PATIENCE)
    late = arranged(at=moment(-3600))
    missed = CallLog.objects.filter(schedule=late, status="missed")
    wait_until(missed.exists, what="the miss is written down", patience=PATIENCE)
    assert engine.carrier.accepted() == 1

    engine.start_runner(SCHEDULER_EXECUTOR="threads")
    comes_to_rest()

    check_exactly_once(engine.carrier)
    assert [story(schedule) for schedule in schedules] == [DIALLED] * 3


def test_two_workers_keep_the_pace_and_one_that_is_stopped_finishes_its_calls(
    engine: Engine, broker: Broker, client_of_web
):
    paced = {"CALLS_PER_SECOND": str(PACE)}
    leaving, _ = engine.start_worker(**paced), engine.start_worker(**paced)
    schedules = arranged_together(["99"] * 80)
    engine.start_runner(**paced)
    wait_until(lambda: engine.carrier.accepted() >= 20, what="20 calls", patience=PATIENCE)

    leaving.terminate()

    assert leaving.wait(PATIENCE) == 0
    comes_to_rest()
    check_pace(engine)
    check_exactly_once(engine.carrier)
    assert [story(schedule) for schedule in schedules] == [DIALLED] * 80
    assert Runner.objects.workers().exclude(stopped_at=None).count() == 1
