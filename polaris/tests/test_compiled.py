"""Statements that are put into SQL once: what they find and write is what the ORM does."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from polaris.compiled import compiled_select, compiled_write
from polaris.database import among, atomic
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory

pytestmark = pytest.mark.django_db

MOMENT = datetime(2030, 3, 29, 1, 30, 0, 123000, tzinfo=UTC)
HOSTILE = 'O\'Brien \\ "quoted" %s %(x)s {a} 漢字'

postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="statements are kept on PostgreSQL alone"
)


@compiled_select
def before(moment, *, limit=10):
    return CallSchedule.objects.filter(scheduled_time__lt=moment).order_by("scheduled_time")[:limit]


@compiled_select
def described(keys, description):
    rows = CallSchedule.objects.filter(among("pk", keys), description=description)
    return rows.order_by("pk").values_list("pk", "repeat_config")


@compiled_select
def owners():
    return CallSchedule.objects.order_by("created_by").values_list("created_by", flat=True)


@compiled_write
def describe(keys, description, at):
    return CallSchedule.objects.filter(among("pk", keys)).update(
        description=description, last_updated=at
    )


@compiled_write
def remove(keys):
    return ActiveSchedule.objects.filter(among("pk", keys)).delete()


@pytest.fixture
def three(db):
    return [
        CallScheduleFactory(
            created_by=f"user_{day}",
            scheduled_time=MOMENT + timedelta(days=day),
            description=HOSTILE,
            repeat_config={"frequency": "daily"},
            phone=f"+1500555000{day}",
        )
        for day in range(3)
    ]


def test_each_value_finds_what_the_orm_finds(three):
    assert before(MOMENT) == []
    assert before(MOMENT + timedelta(hours=1)) == three[:1]
    assert before(MOMENT + timedelta(days=9)) == three


def test_what_is_told_by_name_is_a_part_of_the_statement(three):
    assert before(MOMENT + timedelta(days=9), limit=2) == three[:2]
    assert before(MOMENT + timedelta(days=9), limit=1) == three[:1]


def test_a_model_is_whole_and_can_be_saved(three):
    [row] = before(MOMENT + timedelta(hours=1))

    assert (row.phone, row.repeat_config) == ("+15005550000", {"frequency": "daily"})
    assert not row._state.adding
    row.description = "changed"
    row.save(update_fields=["description"])
    assert CallSchedule.objects.get(pk=three[0].pk).description == "changed"


def test_texts_and_lists_of_keys_are_taken_as_they_are(three):
    keys = [three[0].pk, three[2].pk]

    found = described(keys, HOSTILE)

    assert found == [(key, {"frequency": "daily"}) for key in sorted(keys)]
    assert described([], HOSTILE) == []
    assert described(keys, "anything else") == []


def test_one_column_is_a_flat_list(three):
    assert owners() == ["user_0", "user_1", "user_2"]


def test_a_write_says_how_many_rows_it_concerned(three):
    at = timezone.now() + timedelta(days=1)

    assert describe([three[0].pk, three[1].pk, "schedule_of_nobody"], HOSTILE + "!", at) == 2
    assert describe([], "nothing", at) == 0

    assert CallSchedule.objects.filter(description=HOSTILE + "!").count() == 2
    assert CallSchedule.objects.get(pk=three[2].pk).description == HOSTILE


def test_a_deletion_says_how_many_rows_it_concerned(three):
    armed = [ActiveScheduleFactory(schedule=schedule).pk for schedule in three]

    assert remove([armed[1]]) == 1
    assert remove([armed[1]]) == 0

    assert {*ActiveSchedule.objects.values_list("pk", flat=True)} == {armed[0], armed[2]}


@pytest.mark.django_db(transaction=True)
@postgresql
def test_a_lock_outside_of_a_transaction_is_refused(three):
    @compiled_select
    def with_lock(key):
        return CallSchedule.objects.filter(pk=key).select_for_update()

    with atomic():
        with_lock(three[0].pk)

    with pytest.raises(TransactionManagementError):
        with_lock(three[0].pk)


def test_a_lock_is_taken_each_time(three):
    @compiled_select
    def with_lock(key):
        return CallSchedule.objects.filter(pk=key).select_for_update()

    with atomic():
        assert with_lock(three[0].pk) == three[:1]
        assert with_lock(three[1].pk) == three[1:2]


@postgresql
def test_the_orm_is_asked_twice_in_all(three):
    asked = []

    @compiled_select
    def counted(key):
        asked.append(key)
        return CallSchedule.objects.filter(pk=key)

    for row in three:
        assert counted(row.pk) == [row]

    assert len(asked) == 2
    assert not {row.pk for row in three} & set(asked)


@postgresql
def test_what_a_statement_computes_of_its_values_is_refused(three):
    @compiled_select
    def computing(moment):
        return CallSchedule.objects.filter(scheduled_time__lt=moment + timedelta(hours=1))

    with pytest.raises(TypeError, match="computes something itself"):
        computing(MOMENT)


@postgresql
def test_a_clock_inside_a_statement_is_refused(three):
    @compiled_write
    def touching(key):
        return CallSchedule.objects.filter(pk=key).update(last_updated=timezone.now())

    with pytest.raises(TypeError, match="computes something itself"):
        touching(three[0].pk)


@postgresql
def test_a_value_that_is_not_in_the_statement_is_refused(three):
    @compiled_select
    def forgetting(key, moment):
        return CallSchedule.objects.filter(pk=key)

    with pytest.raises(TypeError, match="each of its values"):
        forgetting(three[0].pk, MOMENT)


@postgresql
@pytest.mark.parametrize("value", [None, 3, 1.5, True])
def test_values_of_other_kinds_are_refused(three, value):
    with pytest.raises(TypeError, match="no value of a compiled statement"):
        before(value)


@postgresql
def test_more_than_one_table_is_refused():
    @compiled_select
    def joined():
        return ActiveSchedule.objects.select_related("schedule")

    with pytest.raises(TypeError, match="more than one table"):
        joined()


@postgresql
def test_more_than_one_write_is_refused(three):
    @compiled_write
    def twice(key):
        CallSchedule.objects.filter(pk=key).update(description="a")
        return CallSchedule.objects.filter(pk=key).update(description="b")

    with pytest.raises(TypeError, match="2 statements"):
        twice(three[0].pk)

    assert CallSchedule.objects.get(pk=three[0].pk).description == HOSTILE


@postgresql
def test_who_listens_to_statements_hears_of_those_that_are_executed(three):
    @compiled_write
    def describing(key, description):
        return CallSchedule.objects.filter(pk=key).update(description=description)

    heard = []

    def listen(execute, sql, params, many, context):
        heard.append(params)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        assert describing(three[0].pk, "heard") == 1

    assert heard == [["heard", three[0].pk]]
