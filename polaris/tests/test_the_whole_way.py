"""Create, dial, webhook, log, statistics, notification: real processes, HTTP and SDK."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from polaris.tests.stack import Stack, wait_until
from schedules.models import ActiveSchedule, CallSchedule, Runner
from tracking.models import CallLog, Notification
from webhooks.models import WebhookEvent

TASKS = Path("/proc/self/task")


def soon(seconds: float = 2) -> str:
    """Far enough ahead that a loaded machine has done its requests before."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def body(**fields) -> dict:
    return {"phone": "+14155550100", "scheduled_time": soon(), "description": "A test"} | fields


def created(client, **fields) -> str:
    answer = client.post("/schedule/", body(**fields))
    assert answer.status_code == 200, answer.text
    return answer.json()["schedule_id"]


def status_of(client, schedule_id: str) -> str:
    return client.get(f"/schedule/{schedule_id}").json()["status"]


def is_(client, schedule_id: str, status: str):
    wait_until(lambda: status_of(client, schedule_id) == status, what=f"it is {status}")


def test_a_scheduled_call_is_placed_followed_and_reported(stack: Stack, client_of_web):
    stack.start_runner(NOTIFY_EVENTS="call.completed", NOTIFY_EMAIL_TO="desk@polaris.example")

    schedule_id = created(client_of_web)
    is_(client_of_web, schedule_id, "completed")

    (log,) = client_of_web.get("/schedule/tracking/logs").json()["results"]
    (call,) = stack.carrier.calls()
    assert log["schedule_id"] == schedule_id
    assert log["status"] == "completed"
    assert log["call_id"] == call["sid"]
    assert log["duration"] > 0
    assert log["start_time"] <= log["end_time"]  # Twilio tells whole seconds
    assert client_of_web.get(f"/schedule/{schedule_id}").json()["call_id"] == call["sid"]
    assert client_of_web.get("/schedule/tracking/stats").json() == {
        "total_calls": 1,
        "completed_calls": 1,
        "failed_calls": 0,
        "pending_calls": 0,
        "success_rate": 100.0,
        "average_duration": log["duration"],
        "total_duration": log["duration"],
    }
    said = set(WebhookEvent.objects.values_list("call_status", flat=True))
    assert said == {"initiated", "ringing", "in-progress", "completed"}


def test_a_failed_call_is_notified_by_the_runner(stack: Stack, client_of_web):
    stack.start_runner(
        NOTIFY_EVENTS="schedule.failed,call.failed", NOTIFY_EMAIL_TO="desk@polaris.example"
    )

    created(client_of_web, phone="+14155550111")  # refused by the carrier

    sent = Notification.objects.filter(status=Notification.Status.SENT)
    wait_until(lambda: sent.count() == 2, what="both notifications have been sent")
    assert "Subject:" in stack.log_of("runner")


OUTCOMES = {
    "+14155550101": ("busy", "failed"),
    "+14155550102": ("no_answer", "failed"),
    "+14155550103": ("failed", "failed"),
    "+14155550111": ("failed", "failed"),
    "+14155550115": ("completed", "completed"),  # 500, though it was placed
    "+14155550118": ("completed", "completed"),  # cut off, though it was placed
    "+14155550119": ("completed", "completed"),  # half an answer
    "+14155550121": ("completed", "completed"),  # webhooks out of order
    "+14155550122": ("completed", "completed"),  # each webhook twice
    "+14155550123": ("completed", "completed"),  # webhooks before the answer
}


def test_every_outcome_reaches_the_log_and_the_schedule(stack: Stack, client_of_web):
    stack.start_runner()

    schedules = {phone: created(client_of_web, phone=phone) for phone in OUTCOMES}

    for phone, (_, status) in OUTCOMES.items():
        is_(client_of_web, schedules[phone], status)
    logs = list(CallLog.objects.all())
    assert len(logs) == len(OUTCOMES)
    assert {log.phone: log.status for log in logs} == {
        phone: outcome for phone, (outcome, _) in OUTCOMES.items()
    }
    accepted = [call["to"] for call in stack.carrier.calls()]
    assert sorted(accepted) == sorted(set(OUTCOMES) - {"+14155550111"})
    assert not ActiveSchedule.objects.exists()


def test_what_may_have_been_placed_is_unknown_and_not_dialled_again(stack: Stack, client_of_web):
    stack.start_runner()

    schedule_id = created(client_of_web, phone="+14155550116")  # 503, and not placed

    log = wait_until(
        lambda: CallLog.objects.filter(status=CallLog.Status.UNKNOWN).first(),
        what="the log is unknown",
    )
    assert "may have been placed" in log.error_message
    assert status_of(client_of_web, schedule_id) == "running"
    assert client_of_web.get("/schedule/tracking/stats").json()["pending_calls"] == 1


def test_a_recurring_schedule_is_armed_again_after_its_call(stack: Stack, client_of_web):
    stack.start_runner()
    first = soon()

    schedule_id = created(
        client_of_web, scheduled_time=first, repeat_config={"frequency": "hourly"}
    )
    wait_until(
        lambda: CallLog.objects.filter(status=CallLog.Status.COMPLETED).exists(),
        what="the first call is completed",
    )

    is_(client_of_web, schedule_id, "scheduled")
    armed = ActiveSchedule.objects.get()
    log = CallLog.objects.get()
    assert armed.next_execution - log.occurrence == timedelta(hours=1)


def test_changes_take_effect_in_the_running_scheduler(stack: Stack, client_of_web):
    stack.start_runner()
    later = soon(3600)
    paused, cancelled, postponed = (
        created(client_of_web, scheduled_time=soon(6)) for _ in range(3)
    )
    advanced = created(client_of_web, scheduled_time=later)

    client_of_web.post(f"/schedule/{paused}/pause")
    client_of_web.post(f"/schedule/{cancelled}/cancel")
    client_of_web.put(f"/schedule/{postponed}", body(scheduled_time=later))
    client_of_web.put(f"/schedule/{advanced}", body(scheduled_time=soon(7)))
    is_(client_of_web, advanced, "completed")

    assert status_of(client_of_web, paused) == "paused"
    assert status_of(client_of_web, cancelled) == "cancelled"
    assert status_of(client_of_web, postponed) == "scheduled"
    assert set(CallLog.objects.values_list("schedule_id", flat=True)) == {advanced}

    client_of_web.post(f"/schedule/{paused}/resume")
    is_(client_of_web, paused, "completed")


def test_two_runners_place_each_call_once(stack: Stack, client_of_web):
    for _ in range(2):
        stack.start_runner()
    moment = soon(6)

    for number in range(30):
        created(client_of_web, phone=f"+141555503{number:02d}99", scheduled_time=moment)
    done = CallSchedule.objects.filter(status=CallSchedule.Status.COMPLETED)
    wait_until(lambda: done.count() == 30, what="all calls are completed")

    assert stack.carrier.accepted() == 30
    assert CallLog.objects.count() == 30
    assert len(set(CallLog.objects.values_list("call_id", flat=True))) == 30


@pytest.mark.skipif(not TASKS.exists(), reason="reads Linux's list of threads")
def test_all_threads_of_a_runner_let_the_web_go_first(stack: Stack, client_of_web):
    runner = stack.start_runner(SCHEDULER_NICE="7")
    schedule_id = created(client_of_web)
    is_(client_of_web, schedule_id, "completed")  # by now all kinds of them have begun

    threads = [int(each.name) for each in Path(f"/proc/{runner.pid}/task").iterdir()]

    assert len(threads) > 5
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    expected = min(19, ours + 7)
    assert {os.getpriority(os.PRIO_PROCESS, each) for each in threads} == {expected}


def test_sigterm_ends_a_runner_with_nothing_half_done(stack: Stack, client_of_web):
    runner = stack.start_runner(SCHEDULER_WORKERS="4")
    for number in range(40):
        created(client_of_web, phone=f"+141555504{number:02d}99")
    wait_until(CallLog.objects.exists, what="the first call is dialled")

    runner.send_signal(signal.SIGTERM)

    assert runner.wait(15) == 0
    assert not CallLog.objects.filter(status=CallLog.Status.PENDING).exists()
    assert not ActiveSchedule.objects.exclude(lease="").exists()
    assert Runner.objects.get().stopped_at is not None

    stack.start_runner()
    done = CallSchedule.objects.filter(status=CallSchedule.Status.COMPLETED)
    wait_until(lambda: done.count() == 40, what="another runner places the rest")
    assert stack.carrier.accepted() == 40


def test_a_runner_that_was_killed_is_taken_over(stack: Stack, client_of_web):
    """Killed while the carrier's answer is outstanding, which is the worst moment."""
    runner = stack.start_runner(TWILIO_READ_TIMEOUT="20")
    schedule_id = created(client_of_web, phone="+14155550117")  # placed, answers late
    wait_until(lambda: stack.carrier.accepted() == 1, what="the carrier has the call")

    runner.kill()
    runner.wait()

    is_(client_of_web, schedule_id, "running")
    wait_until(
        lambda: CallLog.objects.get().status == CallLog.Status.COMPLETED,
        what="its webhooks have settled the log",
    )
    ActiveSchedule.objects.update(leased_until=datetime.now(UTC))  # as time would do
    stack.start_runner()
    is_(client_of_web, schedule_id, "completed")
    assert stack.carrier.accepted() == 1
