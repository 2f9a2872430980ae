"""Erasing a person by number: rows and figures stay, the person goes, nobody is called any more."""

import io

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command

from polaris.admin_site import page_of
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.analytics import statistics
from tracking.models import CallLog, Notification
from tracking.tests.factories import CallLogFactory, NotificationFactory
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db

NUMBER, OTHER = "+4915112345678", "+4915187654321"
PERSONAL = {"description": "Mr Smith", "notes": "Mr Smith", "user_profile_id": "smith"}


def erase(*options: str, number: str = NUMBER) -> str:
    said = io.StringIO()
    call_command("erase_person", number, *options, stdout=said)
    return said.getvalue()


def call_of(number: str, **fields) -> CallLog:
    armed = ActiveScheduleFactory(schedule__phone=number, **_of_schedule(PERSONAL))
    own = {"notes": "Mr Smith", "user_profile_id": "smith", "status": "completed", "duration": 7}
    return CallLogFactory(schedule=armed.schedule, phone=number, **(own | fields))


def _of_schedule(fields):
    return {f"schedule__{name}": value for name, value in fields.items()}


def everything() -> str:
    """Every value of every own table, opened."""
    rows = [
        [getattr(row, field.attname) for field in model._meta.concrete_fields]
        for model in (CallSchedule, CallLog, Notification, WebhookEvent, LogEntry)
        for row in model.objects.all()
    ]
    return repr(rows)


def test_without_yes_it_only_counts():
    call_of(NUMBER)
    before = everything()

    said = erase()

    assert everything() == before
    assert "schedules to cancel: 1" in said
    assert "call logs: 1" in said
    assert "add --yes" in said
    assert NUMBER not in said


def test_the_person_goes_and_the_figures_stay(desk, operator):
    log = call_of(NUMBER)
    NotificationFactory(payload={"log_id": log.pk, "description": "Mr Smith"})
    for place, fields in enumerate(
        [{"attempt_id": log.pk}, {"call_id": log.call_id}, {"payload": {"From": NUMBER}}]
    ):
        WebhookEvent.objects.create(fingerprint=place, processed_at=log.timestamp, **fields)
    LogEntry.objects.log_actions(operator.pk, [log.schedule], 2, "Mr Smith")
    figures = statistics(CallLog.objects.all())

    erase("--yes")

    found = everything()
    assert NUMBER not in found
    assert "Smith" not in found
    assert "smith" not in found
    assert statistics(CallLog.objects.all()) == figures
    assert not WebhookEvent.objects.exists()
    assert CallSchedule.objects.get().status == "cancelled"
    assert desk.get(page_of(CallSchedule, log.schedule_id)).status_code == 200
    assert desk.get(page_of(CallLog, log.pk)).status_code == 200


def test_nothing_stays_armed():
    call_of(NUMBER)
    CallScheduleFactory(phone=NUMBER, status="paused")

    erase("--yes")

    assert not ActiveSchedule.objects.exists()
    assert set(CallSchedule.objects.values_list("status", flat=True)) == {"cancelled"}


def test_nobody_else_is_touched():
    other = call_of(OTHER)
    NotificationFactory(payload={"log_id": other.pk})
    WebhookEvent.objects.create(payload={"To": OTHER}, processed_at=other.timestamp)
    before = everything()

    erase("--yes")

    assert everything() == before
    assert ActiveSchedule.objects.exists()


@pytest.mark.parametrize(("options", "stop"), [((), "cancel"), (("--hang-up",), "hang_up")])
def test_a_live_call_is_told_of_stopped_and_erased_afterwards(options, stop):
    log = call_of(NUMBER, status="in_progress")

    with pytest.raises(CommandError, match="1 calls are not over yet"):
        erase("--yes", *options)

    log.refresh_from_db()
    assert (log.phone, log.stop) == (NUMBER, stop)
    CallLog.objects.update(status="completed")  # as its webhook tells
    erase("--yes")
    assert NUMBER not in everything()


def test_a_webhook_that_was_not_acted_upon_yet_is_told_of():
    log = call_of(NUMBER)
    WebhookEvent.objects.create(attempt_id=log.pk)

    with pytest.raises(CommandError, match="1 webhooks have not been acted upon"):
        erase("--yes")


def test_it_is_found_under_the_older_lookup_key_too(settings):
    call_of(NUMBER)
    settings.LOOKUP_KEYS = ["c2V2ZW50ZWVuIGJyb3duIG93bHMgaW4gYSBiYXJuIGU", *settings.LOOKUP_KEYS]

    erase("--yes")

    assert NUMBER not in everything()


def test_a_row_whose_key_is_missing_is_erased_all_the_same(settings):
    call_of(NUMBER)
    settings.ENCRYPTION_KEYS = settings.LOOKUP_KEYS

    erase("--yes")

    assert not ActiveSchedule.objects.exists()
    assert not CallSchedule.objects.of_number(NUMBER).exists()


@pytest.mark.parametrize("number", ["+49 151 123-45678", "004915112345678"])
def test_the_number_may_be_written_with_gaps(number):
    call_of(NUMBER)

    erase("--yes", number=number)

    assert NUMBER not in everything()


@pytest.mark.parametrize("number", ["15112345678", "Smith", "+", ""])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(CommandError, match="country code"):
        erase(number=number)


def test_repeating_it_finds_nothing():
    call_of(NUMBER)
    erase("--yes")

    assert "call logs: 0" in erase("--yes")
