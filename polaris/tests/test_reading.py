"""One row by its key: as a queryset gives it, on every database."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.transaction import TransactionManagementError

from polaris.database import atomic
from polaris.privacy.fields import sealed_value
from polaris.reading import read
from schedules.models import CallSchedule
from schedules.tests.factories import CallScheduleFactory
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)


def columns(row):
    return {field.attname: sealed_value(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.parametrize("with_lock", [False, True])
def test_it_is_the_row_that_a_queryset_gives(with_lock):
    schedule = CallScheduleFactory(repeat_config={"n": [1]}, notes="漢字", created_at=MOMENT)
    log = CallLogFactory(schedule=schedule, metadata={"a": None}, duration=7, end_time=None)

    with atomic():
        for model, key in ((CallSchedule, schedule.pk), (CallLog, log.pk)):
            for _ in range(2):  # built, then kept
                row = read(model, key, with_lock=with_lock)
                assert columns(row) == columns(model.objects.get(pk=key))
                assert row == model.objects.get(pk=key)
                assert not row._state.adding


def test_its_sealed_fields_are_opened_when_they_are_looked_at():
    key = CallScheduleFactory(phone="+15005550008", notes="by hand").pk

    row = read(CallSchedule, key)

    assert (row.phone, row.notes) == ("+15005550008", "by hand")


@pytest.mark.parametrize("key", ["", "log_nothing", "'; --", "%s", "x" * 5000])
def test_there_is_no_row_of_another_key(key):
    CallLogFactory()

    assert read(CallLog, key) is None


@pytest.mark.django_db(transaction=True)
def test_a_lock_asks_for_a_transaction():
    key = CallScheduleFactory().pk

    with pytest.raises(TransactionManagementError):
        read(CallSchedule, key, with_lock=True)


@pytest.mark.django_db(transaction=True)
def test_with_its_lock_a_row_is_as_whoever_was_before_has_left_it():
    key, order = CallScheduleFactory(status="running").pk, []
    is_held = threading.Event()

    def come_second():
        is_held.wait(30)
        with atomic():
            found = read(CallSchedule, key, with_lock=True)
            order.append(found.status)
        connection.close()

    second = threading.Thread(target=come_second)
    second.start()
    with atomic():
        read(CallSchedule, key, with_lock=True)
        is_held.set()
        CallSchedule.objects.filter(pk=key).update(status="completed")
        second.join(0.2)
        order.append("committed")
    second.join(30)

    assert order == ["committed", "completed"]
