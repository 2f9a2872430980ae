"""Pausing, cancelling and deleting meet dialling: there is one winner, and the rows tell which."""

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from polaris.errors import IllegalTransition
from polaris.tests.faults.engine import (
    PATIENCE,
    ROUNDS,
    Engine,
    arranged,
    arranged_together,
    comes_to_rest,
    let_silence_pass,
    moment,
)
from polaris.tests.faults.evidence import check_exactly_once, creates, story
from polaris.tests.stack import wait_until
from schedules import services
from schedules.models import ActiveSchedule, CallSchedule
from tracking.models import CallLog

pytestmark = pytest.mark.faults

ACTS: dict[str, Callable[[CallSchedule], object]] = {
    "pause": services.pause,
    "cancel": services.cancel,
    "delete": services.delete_schedule,
    "hang up": lambda schedule: services.cancel(schedule, hang_up=True),
}
EACH = 12 * ROUNDS
HOURLY = {"frequency": "hourly"}


def act_around(due: float, schedules: dict[str, tuple[str, CallSchedule]]) -> dict[str, bool]:
    """Each schedule's own act, in the half second around its time; says which were allowed."""
    allowed: dict[str, bool] = {}
    errors: list[Exception] = []

    def run(some: list[tuple[str, CallSchedule]]) -> None:
        try:
            for name, schedule in some:
                time.sleep(max(0, due + random.uniform(-0.2, 0.3) - time.time()))
                try:
                    ACTS[name](CallSchedule.objects.get(pk=schedule.pk))
                    allowed[schedule.pk] = True
                except IllegalTransition:
                    allowed[schedule.pk] = False
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    each = list(schedules.values())
    threads = [threading.Thread(target=run, args=(each[n::6],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return allowed


@pytest.mark.parametrize("repeat_config", [None, HOURLY], ids=["once", "hourly"])
def test_an_act_at_the_very_moment_of_dialling_has_a_definite_outcome(
    engine: Engine, client_of_web, repeat_config
):
    for _ in range(3):
        engine.start_runner()
    due = moment(2 + ROUNDS)
    arrangements = [
        (name, arranged(at=due, repeat_config=repeat_config)) for name in ACTS for _ in range(EACH)
    ]
    random.shuffle(arrangements)

    allowed = act_around(due.timestamp(), {each.pk: (name, each) for name, each in arrangements})

    wait_until(
        lambda: let_silence_pass() or not _is_under_way(due),
        what="nothing is under way",
        patience=PATIENCE,
    )
    check_exactly_once(engine.carrier)
    placed = creates(engine.carrier)
    for name, schedule in arrangements:
        logs = list(CallLog.objects.filter(schedule_id=schedule.pk))
        row = CallSchedule.objects.filter(pk=schedule.pk).first()
        told = (name, allowed[schedule.pk], row and row.status, [log.status for log in logs])
        assert len(logs) <= 1, told
        assert all(log.is_final for log in logs), told
        if not allowed[schedule.pk]:  # too late: the call was made and came to its own end
            assert [log.pk in placed for log in logs] == [True], told
        elif name == "delete":
            assert row is None, told
        else:
            assert row.status == {"pause": "paused"}.get(name, "cancelled"), told
        assert not ActiveSchedule.objects.filter(
            schedule=schedule.pk, next_execution__lte=due
        ).exists(), told


def _is_under_way(due) -> bool:
    waits = ActiveSchedule.objects.filter(next_execution__lte=due + timedelta(minutes=1))
    return waits.exists() or CallLog.objects.unsettled().exists()


@pytest.mark.parametrize("carrier", [{"speed": 5.0}], indirect=True)
def test_a_call_that_rings_is_cancelled_at_the_carrier_and_one_that_is_talked_as_asked(
    engine: Engine, client_of_web
):
    """Ending 02 rings for 12 s here, 05 is talked for two minutes."""
    for _ in range(2):
        engine.start_runner()
    rings, talks, ends = arranged_together(["02", "05", "05"])

    def is_(schedule: CallSchedule, status: str) -> None:
        wait_until(
            lambda: [said for said, _ in story(schedule)] == [status],
            what=f"it is {status}",
            patience=PATIENCE,
        )

    is_(rings, "ringing")
    services.cancel(CallSchedule.objects.get(pk=rings.pk))
    is_(talks, "in_progress")
    is_(ends, "in_progress")
    services.cancel(CallSchedule.objects.get(pk=talks.pk))
    services.cancel(CallSchedule.objects.get(pk=ends.pk), hang_up=True)

    is_(rings, "cancelled")
    is_(ends, "completed")
    is_(talks, "in_progress")
    by_number = {call["to"]: call["status"] for call in engine.carrier.calls()}
    assert by_number == {
        rings.phone: "canceled",
        ends.phone: "completed",
        talks.phone: "in-progress",
    }
    assert CallLog.objects.get(schedule=talks).stop == ""


def test_a_call_in_doubt_is_stopped_once_it_is_found(engine: Engine):
    """Ending 27 with a list that lags: cancelled before anybody knows whether it was placed."""
    engine.start_runner()
    schedule = arranged("27")
    wait_until(
        lambda: [said for said, _ in story(schedule)] == ["unknown"],
        what="it is in doubt",
        patience=PATIENCE,
    )

    services.cancel(CallSchedule.objects.get(pk=schedule.pk), hang_up=True)
    comes_to_rest(let_silence_pass)

    assert engine.carrier.accepted() == 1
    check_exactly_once(engine.carrier)


def test_a_call_refused_for_now_that_is_paused_and_resumed_is_dialled(
    engine: Engine, client_of_web
):
    """Ending 14 is refused twice, and paused between."""
    engine.start_runner()
    schedule = arranged("14")
    wait_until(
        lambda: [said for said, _ in story(schedule)] == ["deferred"],
        what="it is refused for now",
        patience=PATIENCE,
    )

    services.pause(CallSchedule.objects.get(pk=schedule.pk))
    services.resume(CallSchedule.objects.get(pk=schedule.pk))
    comes_to_rest()

    assert story(schedule)[-1] == ("completed", "")
    assert engine.carrier.accepted() == 1
