"""Rows that are made without the constructor are those that it makes."""

from datetime import UTC, datetime

import pytest

from polaris.loading import loaded, new
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory

pytestmark = pytest.mark.django_db

MOMENT = datetime(2030, 3, 29, 1, 30, tzinfo=UTC)


def columns(model):
    return [field.attname for field in model._meta.concrete_fields]


def stored(row):
    """A row's attributes, sealed ones as they are."""
    names = columns(type(row))
    return names, [row.__dict__[name] for name in names]


def test_a_loaded_row_is_the_one_that_was_read():
    read = CallSchedule.objects.get(pk=CallScheduleFactory(notes="Ring twice.").pk)

    row = loaded(CallSchedule, *stored(read))

    assert row == read
    assert {**vars(row), "_state": None} == {**vars(read), "_state": None}
    assert (row.phone, row.notes) == (read.phone, "Ring twice.")
    assert (row._state.adding, row._state.db) == (False, "default")


def test_it_can_be_changed_saved_and_deleted():
    row = loaded(CallSchedule, *stored(CallSchedule.objects.get(pk=CallScheduleFactory().pk)))

    row.description, row.phone = "Another one.", "+15005550009"
    row.save(update_fields=["description", "phone", "phone_lookup"])

    assert CallSchedule.objects.of_number("+15005550009").get().description == "Another one."
    row.delete()
    assert not CallSchedule.objects.exists()


def test_what_was_not_read_is_read_when_it_is_asked_for(django_assert_num_queries):
    armed = ActiveScheduleFactory(occurrence=MOMENT)

    row = loaded(ActiveSchedule, ["id", "schedule_id"], [armed.pk, armed.schedule_id])

    with django_assert_num_queries(2):
        assert row.occurrence == MOMENT
        assert row.schedule == armed.schedule
    with django_assert_num_queries(0):
        assert row.schedule.pk == row.schedule_id


def test_rows_share_no_state():
    values = stored(ActiveScheduleFactory())
    one, other = loaded(ActiveSchedule, *values), loaded(ActiveSchedule, *values)

    one.schedule = CallScheduleFactory()

    assert other.schedule_id != one.schedule_id
    assert other.schedule != one.schedule


def test_a_new_row_is_inserted_by_save():
    names, values = stored(CallScheduleFactory.build(phone="+15005550008"))

    row = new(CallSchedule, names, values)

    assert row._state.adding
    row.save()
    assert CallSchedule.objects.get().phone == "+15005550008"


def test_names_and_values_are_as_many():
    with pytest.raises(ValueError, match="zip"):
        loaded(CallSchedule, ["id", "phone"], ["schedule_1"])
