"""Rows that were written in the clear are sealed when the database is migrated, and back."""

import json

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from polaris.privacy.resealing import how_many_are_behind
from polaris.privacy.sealing import is_sealed
from schedules.models import CallSchedule
from tracking.models import CallLog, Notification
from webhooks.models import WebhookEvent

NUMBER = "+4915112345678"
BEFORE = [("webhooks", "0001"), ("tracking", "0005"), ("schedules", "0004")]
SEALED = {
    "call_schedules": ("phone", "notes"),
    "call_logs": ("phone", "notes"),
    "notifications": ("payload",),
    "webhook_events": ("payload",),
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def old_state():
    """The database as it was before anything was sealed; migrated to the newest afterwards."""
    back()
    yield
    call_command("migrate", verbosity=0)


def back() -> None:
    for app, migration in BEFORE:
        call_command("migrate", app, migration, verbosity=0)


def insert(table: str, **values) -> None:
    """As the old code did: its models are not there any more."""
    with connection.cursor() as cursor:
        names, places = ", ".join(values), ", ".join(["%s"] * len(values))
        cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", [*values.values()])  # noqa: S608


def columns() -> list[str]:
    found = []
    with connection.cursor() as cursor:
        for table, names in SEALED.items():
            cursor.execute(f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608
            found += [str(value) for row in cursor.fetchall() for value in row]
    return found


def old_rows() -> None:
    now = timezone.now()
    for number in range(120):  # more than one batch
        insert(
            "call_schedules", id=f"schedule_{number}", created_by="user_1", phone=NUMBER,
            notes="a note" if number else "", description="", user_profile_id="",
            agent_instance_id="", scheduled_time=now, timezone="UTC", status="completed",
            status_reason="", call_type="outbound", wall_time="", overlap="skip", revision=1,
            call_id="", created_at=now, last_updated=now,
        )  # fmt: skip
    for status in ("ringing", "completed"):
        insert(
            "call_logs", id=f"log_{status}", schedule_id="schedule_1", occurrence=now,
            attempt=len(status), created_by="", user_profile_id="", agent_instance_id="",
            call_id="", status=status, call_type="outbound", phone=NUMBER, timestamp=now,
            error_code="", error_message="", stop="", attention="", notes="a note", metadata="{}",
            last_updated=now,
        )  # fmt: skip
    insert(
        "notifications", id="notification_1", event_id="event_1", event="call.failed",
        channel="email", payload=json.dumps({"a": [NUMBER]}), status="sent", attempts=1,
        last_error="", created_at=now, last_updated=now,
    )  # fmt: skip
    insert(
        "webhook_events", id="webhook_1", fingerprint="1", call_id="CA1", attempt_id="",
        call_status="ringing", payload=json.dumps({"To": NUMBER}), outcome="applied", deliveries=1,
        received_at=now,
    )  # fmt: skip


def test_what_is_there_is_sealed_and_found(old_state):
    old_rows()

    call_command("migrate", verbosity=0)

    assert how_many_are_behind() == 0
    assert all(is_sealed(text) for text in columns() if text)
    assert {row.phone for row in CallSchedule.objects.of_number(NUMBER)} == {NUMBER}
    assert CallSchedule.objects.of_number(NUMBER).count() == 120
    assert [log.notes for log in CallLog.objects.of_number(NUMBER)] == ["a note", "a note"]
    assert Notification.objects.get().payload == {"a": [NUMBER]}
    assert WebhookEvent.objects.get().payload == {"To": NUMBER}
    assert apps.get_model("polaris", "LookupState").objects.get().moving_to == ""


def test_the_way_back_leaves_everything_in_the_clear(old_state):
    old_rows()
    call_command("migrate", verbosity=0)

    back()

    assert not any(is_sealed(text) for text in columns())
    assert sum(NUMBER in text for text in columns()) == 120 + 2 + 1 + 1
