"""Real processes on PostgreSQL: runners that poll seldom see at once what others arm.

The runners' poll is so long that a call which is dialled within a test was not found by it."""

import signal
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from polaris.database import atomic
from polaris.tests.faults.engine import arranged, moment, number
from polaris.tests.stack import Stack, wait_until
from schedules import gate, services
from schedules.claims import claim_due, give_back
from schedules.models import ActiveSchedule, CallSchedule
from schedules.planning import make_plan
from schedules.waking import Listener, wake_runners
from tracking.models import CallLog

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="only PostgreSQL tells what is armed"
    ),
]

HEARS = "it is heard at once what other processes arm"
DEAF = "is not heard, but found within"
SELDOM = {"SCHEDULER_POLL_SECONDS": "60", "SCHEDULER_WORKERS": "8"}


@pytest.fixture(autouse=True)
def _this_process_polls_as_seldom(settings):
    settings.SCHEDULER_POLL = timedelta(seconds=60)


@pytest.fixture
def stack(stack: Stack) -> Stack:
    stack.environment |= SELDOM
    return stack


@pytest.fixture
def idle_runner(stack: Stack):
    """A runner that listens, and looks for itself once a minute."""
    runner = stack.start_runner()
    wait_until(lambda: HEARS in stack.log_of("runner"), what="it listens")
    return runner


def dialled(schedule: CallSchedule) -> None:
    """Long before the next poll."""
    logs = CallLog.objects.filter(schedule=schedule).exclude(call_id="")
    wait_until(logs.exists, what="it is dialled")


def listeners() -> list[int]:
    """The server's processes that serve them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state = 'idle' AND query LIKE 'UNLISTEN%%'"
        )
        return [pid for (pid,) in cursor.fetchall()]


def terminate(pids: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [pids])


def test_a_call_armed_by_http_is_dialled_at_once(stack, client_of_web, idle_runner):
    at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()

    body = {"phone": number(), "scheduled_time": at}
    answer = client_of_web.post("/schedule/", body)

    dialled(CallSchedule.objects.get(pk=answer.json()["schedule_id"]))


def test_a_listener_whose_connection_is_cut_comes_back(stack, idle_runner):
    (pid,) = listeners()

    terminate([pid])
    wait_until(lambda: stack.log_of("runner").count(HEARS) == 2, what="it listens again")
    assert DEAF in stack.log_of("runner")

    dialled(arranged())
    assert listeners() != [pid]


def test_what_was_armed_while_nobody_listened_is_found_when_somebody_does(stack, idle_runner):
    idle_runner.send_signal(signal.SIGSTOP)
    terminate(listeners())
    schedule = arranged()

    idle_runner.send_signal(signal.SIGCONT)

    dialled(schedule)


def test_a_runner_that_listens_stops_when_it_is_told_to(stack, idle_runner):
    idle_runner.send_signal(signal.SIGTERM)

    assert idle_runner.wait(10) == 0
    assert "Traceback" not in stack.log_of("runner")
    assert not listeners()


def test_everything_that_lets_a_call_go_wakes_a_runner(stack, idle_runner):
    later = arranged(at=moment(3600))
    services.call_now(later)
    dialled(later)

    paused = arranged(at=moment(3600))
    services.pause(paused)
    CallSchedule.objects.filter(pk=paused.pk).update(scheduled_time=timezone.now())
    services.resume(CallSchedule.objects.get(pk=paused.pk))
    dialled(paused)

    moved = arranged(at=moment(3600))
    plan = make_plan(
        phone=moved.phone,
        scheduled_time=moment(1),
        timezone="UTC",
        repeat_config=None,
        now=timezone.now(),
    )
    services.change_schedule(moved, plan=plan)
    dialled(moved)


def test_the_end_of_a_halt_wakes_a_runner(stack, idle_runner):
    gate.close("for the test", by="an operator")
    schedule = arranged()
    gate.reopen(by="an operator")

    dialled(schedule)


def test_a_call_refused_for_now_is_asked_for_again_long_before_the_poll(stack, idle_runner):
    schedule = arranged("14")  # too many requests, twice

    dialled(schedule)


def test_a_free_place_is_taken_at_once(stack, client_of_web):
    stack.start_runner(MAX_CONCURRENT_CALLS="1")
    wait_until(lambda: HEARS in stack.log_of("runner"), what="it listens")

    for schedule in [arranged() for _ in range(3)]:
        dialled(schedule)


def test_a_busy_line_that_is_free_again_is_dialled_at_once(stack, client_of_web, idle_runner):
    phone = number()
    for schedule in [arranged(phone=phone) for _ in range(2)]:
        dialled(schedule)


def heard_by(act) -> list[datetime]:
    """What a listener of this process hears of `act`, the last word left out."""
    heard: list[datetime] = []
    with closing(Listener(heard.append)) as listener:
        listener.start()
        wait_until(lambda: heard, what="it listens")
        act()
        last = timezone.now()
        wake_runners(due=last)
        wait_until(lambda: last in heard, what="the last word is heard")
    return heard[1:-1]


def test_others_hear_of_what_a_stopping_runner_gives_back(transactional_db):
    arranged()
    claim_due(runner_id="us", moment=timezone.now(), limit=1, lease=timedelta(minutes=1))

    assert len(heard_by(lambda: give_back(runner_id="us"))) == 1


def test_nothing_is_told_of_what_is_undone(transactional_db):
    def undo():
        with suppress(ZeroDivisionError), atomic():
            arranged()
            raise ZeroDivisionError

    assert heard_by(undo) == []
    assert not ActiveSchedule.objects.exists()


def test_nobody_is_woken_for_what_the_poll_finds_in_time(transactional_db):
    assert heard_by(lambda: arranged(at=moment(3600))) == []
    assert ActiveSchedule.objects.count() == 1
