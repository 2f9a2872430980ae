"""Real processes: with no runner alive the web process tells of it, and sends what it tells."""

import json
import signal
from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from polaris.tests.stack import PATIENCE, wait_until
from polaris.web_processes.models import WebProcess
from schedules.models import Runner
from schedules.tests.factories import ActiveScheduleFactory
from tracking.models import Notification

pytestmark = pytest.mark.faults

TOKEN = "a token that only prometheus knows"


def sent(event):
    return Notification.objects.filter(event=event, status=Notification.Status.SENT).count()


def test_an_outage_of_the_runners_is_told_once_by_the_web_process_and_ended_by_a_runner(stack):
    stack.environment |= {
        "RUNNER_MISSING_SECONDS": "10",
        "NOTIFY_EMAIL_TO": "desk@polaris.example",
        "METRICS_TOKEN": TOKEN,
        "LOG_FORMAT": "json",
    }
    ActiveScheduleFactory(schedule__scheduled_time=timezone.now() + timedelta(days=1))
    runner = stack.start_runner()
    stack.start_web()
    wait_until(WebProcess.objects.exists, what="it beats")
    wait_until(lambda: Runner.objects.get().has_settled, what="the runner has lived for a while")
    runner.send_signal(signal.SIGKILL)
    runner.wait(PATIENCE)

    wait_until(lambda: sent("runner.missing"), what="the alarm is sent", patience=90)
    gone = figures(stack)["polaris_runners"]
    stack.start_runner()
    wait_until(lambda: sent("runner.back"), what="the all-clear is sent")

    assert Notification.objects.filter(event="runner.missing").count() == 1
    assert Notification.objects.filter(event="runner.back").count() == 1
    assert (gone, figures(stack)["polaris_runners"]) == (0, 1)
    stack.stop()
    assert Runner.objects.exclude(stopped_at=None).count() == 1
    assert_every_line_is_json(stack)


def figures(stack):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    text = requests.get(f"{stack.url}/metrics", headers=headers, timeout=PATIENCE).text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def assert_every_line_is_json(stack):
    """The mails that the console shows aside."""
    lines = [json.loads(each) for each in stack.log_of("web").splitlines() if each[:1] == "{"]
    names = {line["logger"] for line in lines}

    assert {"uvicorn.error", "uvicorn.access", "schedules.watch"} <= names
    assert not [each for each in stack.log_of("web").splitlines() if each.startswith("INFO:")]
