"""What a web process tells of itself."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

import polaris
from polaris.web_processes import companions, heartbeat
from polaris.web_processes.models import WebProcess

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def test_a_process_writes_itself_down_and_beats(time_machine):
    time_machine.move_to(NOW, tick=False)
    heartbeat.beat()
    time_machine.move_to(NOW + timedelta(seconds=5), tick=False)
    heartbeat.beat()

    process = WebProcess.objects.get()

    assert (process.started_at, process.last_seen_at) == (NOW, NOW + timedelta(seconds=5))
    assert process.version == polaris.VERSION
    assert process.is_alive


def test_a_process_that_fell_silent_is_not_alive(time_machine):
    time_machine.move_to(NOW, tick=False)
    heartbeat.beat()

    time_machine.move_to(NOW + timedelta(seconds=21), tick=False)

    assert not WebProcess.objects.get().is_alive


def test_of_many_failures_in_a_row_the_first_is_told(caplog):
    def fail():
        raise OperationalError("connection refused\nIs it running?")

    first = companions._once("a job", fail, was_well=True)
    second = companions._once("a job", fail, was_well=first)

    assert (first, second) == (False, False)
    assert [r.getMessage() for r in caplog.records] == [
        "a job: the database failed: connection refused"
    ]


def test_operators_see_who_answers(desk):
    now = timezone.now()
    WebProcess.objects.create(host="web-1", process_id=7, version="0.1.0")
    old = now - timedelta(hours=1)
    WebProcess.objects.create(host="web-2", process_id=8, last_seen_at=old)

    shown = desk.get(reverse("admin:polaris_webprocess_changelist")).content.decode()

    for words in ("web-1:7", "web-2:8", "alive", "gone", "1 h ago", "0.1.0"):
        assert words in shown
