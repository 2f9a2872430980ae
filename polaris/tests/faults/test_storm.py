"""Runners that are killed and started again at random, under load, while people change their minds.

FAULTS_ROUNDS=10 makes ten times the calls, for two, three and four runners.
"""

import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from polaris.access import owner_id
from polaris.tests.faults.engine import (
    QUICK,
    ROUNDS,
    Engine,
    arranged,
    arranged_together,
    comes_to_rest,
    kill,
    let_silence_pass,
    moment,
)
from polaris.tests.faults.evidence import check_exactly_once, check_nothing_lost
from schedules.models import CallSchedule
from tracking.models import CallLog

pytestmark = pytest.mark.faults

CALLS = 120 * ROUNDS
SECONDS = 12 * ROUNDS
# Mostly people; some carrier's faults among them.
ENDINGS = ["99"] * 10 + ["01", "14", "15", "18", "19", "20", "21", "22", "23", "27"]


@contextmanager
def storm(engine: Engine, *, runners: int, settings: dict[str, str]) -> Iterator[None]:
    """So many runners, of which one is killed and replaced again and again."""
    alive = [engine.start_runner(**settings) for _ in range(runners)]
    is_over = threading.Event()

    def rage(alive: list[subprocess.Popen[bytes]]) -> None:
        while not is_over.wait(random.uniform(0.3, 1.5)):
            kill(alive.pop(random.randrange(len(alive))))
            alive.append(engine.start_without_waiting(**settings))

    thread = threading.Thread(target=rage, args=(alive,))
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("runners", [3] if ROUNDS == 1 else [2, 3, 4])
def test_every_call_is_made_once_whoever_dies(engine: Engine, client_of_web, client_user, runners):
    owner = owner_id(client_user)
    schedules = [
        arranged(random.choice(ENDINGS), at=moment(random.uniform(2, SECONDS)), owner=owner)
        for _ in range(CALLS)
    ]
    answers: list[tuple[str, int]] = []

    def ask(schedule: CallSchedule, act: str) -> None:
        answer = client_of_web.post(f"/schedule/{schedule.pk}/{act}")
        answers.append((act, answer.status_code))

    with storm(engine, runners=runners, settings={"CALLS_PER_SECOND": "60"}):
        ends = time.monotonic() + SECONDS
        minds = random.sample(schedules, CALLS // 4)
        while time.monotonic() < ends and minds:
            ask(minds.pop(), random.choice(["pause", "cancel"]))
            time.sleep(SECONDS / (CALLS / 4) / 2)
    engine.start_runner()
    for schedule in CallSchedule.objects.filter(status="paused"):
        ask(schedule, "resume" if schedule.scheduled_time > moment(-200) else "cancel")
    comes_to_rest(let_silence_pass)

    assert {code for _, code in answers} <= {200, 409}, answers
    check_exactly_once(engine.carrier)
    check_nothing_lost(schedules)
    dialled = CallLog.objects.exclude(call_id="").values("schedule_id").distinct().count()
    undialled = CallSchedule.objects.filter(status="cancelled").count()
    assert dialled + undialled >= CALLS


def test_a_runner_that_stalls_longer_than_its_claims_last_doubles_nothing(
    engine: Engine, client_of_web
):
    """Stopped in the middle of its work, taken over, and let go on."""
    alive, stalled = (engine.start_runner(CALLS_PER_SECOND="20") for _ in range(2))
    schedules = arranged_together(["99", "20", "15", "14"] * 15)
    for _ in range(2 * ROUNDS):
        time.sleep(random.uniform(0.3, 1))
        stalled.send_signal(signal.SIGSTOP)
        time.sleep(float(QUICK["SCHEDULER_LEASE_SECONDS"]) + 1)
        stalled.send_signal(signal.SIGCONT)
    comes_to_rest(let_silence_pass)

    assert (alive.poll(), stalled.poll()) == (None, None)
    check_exactly_once(engine.carrier)
    check_nothing_lost(schedules)
