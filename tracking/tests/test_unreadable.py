"""A call whose number cannot be read harms no other, and is never dialled wrongly."""

import secrets
from datetime import timedelta

import pytest
from django.utils import timezone

from polaris.privacy.sealing import lookup_of
from schedules.claims import claim_due
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial
from tracking.models import CallLog

pytestmark = pytest.mark.django_db(transaction=True)

LOST, GOOD = "+4915112345678", "+14155550100"


@pytest.fixture
def without_its_key(settings):
    """A schedule whose key has gone, and a good one beside it, both due."""
    due = timezone.now()
    lost = ActiveScheduleFactory(schedule=CallScheduleFactory(phone=LOST), occurrence=due)
    settings.ENCRYPTION_KEYS = [secrets.token_urlsafe(32)]
    good = ActiveScheduleFactory(schedule=CallScheduleFactory(phone=GOOD), occurrence=due)
    return lost, good


def dial_all() -> None:
    claims = claim_due(
        runner_id="runner_1", moment=timezone.now(), limit=10, lease=timedelta(minutes=1)
    )
    for armed in claims:
        dial(armed.pk, armed.lease)


def test_the_others_are_dialled_and_it_waits_for_its_key(without_its_key):
    lost, _ = without_its_key

    dial_all()

    assert [call.to for call in MemoryCarrier.placed] == [GOOD]
    lost.refresh_from_db()
    assert "not in ENCRYPTION_KEYS" in lost.waits_for
    assert lost.status == ActiveSchedule.Status.SCHEDULED


@pytest.mark.usefixtures("without_its_key")
def test_it_is_dialled_when_its_key_is_back_in_time(settings):
    newest = settings.ENCRYPTION_KEYS
    dial_all()

    settings.ENCRYPTION_KEYS = [*newest, "c2V2ZW50ZWVuIGJyb3duIG93bHMgaW4gYSBiYXJuIGU"]
    ActiveSchedule.objects.update(next_execution=timezone.now())
    dial_all()

    assert {call.to for call in MemoryCarrier.placed} == {GOOD, LOST}
    assert CallLog.objects.of_number(LOST).count() == 1


def test_when_it_is_too_late_it_says_so_and_its_schedule_is_paused(without_its_key):
    lost, _ = without_its_key
    an_hour_ago = timezone.now() - timedelta(hours=1)
    ActiveSchedule.objects.filter(pk=lost.pk).update(due_at=an_hour_ago, next_execution=an_hour_ago)

    dial_all()

    log = CallLog.objects.get(schedule_id=lost.schedule_id)
    assert (log.status, log.phone_lookup) == ("failed", lookup_of(LOST))
    assert "cannot be read" in log.error_message
    assert CallSchedule.objects.get(pk=lost.schedule_id).status == "paused"


def test_the_admin_shows_the_others(desk, without_its_key):
    lost, good = without_its_key

    listed = desk.get("/admin/schedules/callschedule/").content.decode()
    page = desk.get(f"/admin/schedules/callschedule/{lost.schedule_id}/change/")

    assert "unreadable" in listed
    assert "+1••••••0100" in listed
    assert page.status_code == 200
    assert good.schedule_id in listed
