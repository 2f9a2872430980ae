"""Many rows in one statement: what is read again is what was written, on every database."""

from datetime import UTC, datetime

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from polaris.database import among
from polaris.inserting import change, insert, insert_all, made, write_each
from schedules.models import CallSchedule
from tracking.models import CallLog

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
HOSTILE = 'O\'Brien \\ "quoted" %s %(x)s {a,b} \n\t 漢字 😀'


def schedule(**fields):
    defaults = {"created_by": "user_1", "phone": "+15005550006", "scheduled_time": MOMENT}
    return CallSchedule(timezone="UTC", **(defaults | fields))


def log(**fields):
    return CallLog(phone=fields.pop("phone", "+15005550006"), attempt=0, **fields)


def test_rows_come_back_as_they_were_written():
    insert_all(
        [
            schedule(description=HOSTILE, notes=HOSTILE, repeat_config={"cron": HOSTILE, "n": [1]}),
            schedule(phone="+15005550007", repeat_config=None, duration=None),
        ]
    )

    first, second = CallSchedule.objects.order_by("-description")
    assert (first.description, first.notes) == (HOSTILE, HOSTILE)
    assert first.repeat_config == {"cron": HOSTILE, "n": [1]}
    assert first.scheduled_time == MOMENT
    assert second.repeat_config is None
    assert second.phone == "+15005550007"


def test_a_number_is_sealed_and_found_by_its_hash():
    insert_all([schedule(phone="+15005550008")])

    assert CallSchedule.objects.of_number("+15005550008").exists()
    stored = CallSchedule.objects.values_list("phone", flat=True).get().stored
    assert stored.startswith("enc1.")


def test_a_row_that_is_made_is_as_its_constructor_makes_it():
    told = {"id": "log_1", "attempt": 2, "phone": "+15005550009", "timestamp": MOMENT}
    told |= {"schedule_id": "schedule_1", "metadata": {"a": 1}, "last_updated": MOMENT}

    row, as_constructed = made(CallLog, **told), CallLog(**told)

    assert row._state.adding
    assert row.schedule_id == "schedule_1"
    for field in CallLog._meta.concrete_fields:
        assert getattr(row, field.attname) == getattr(as_constructed, field.attname), field.name


def test_rows_that_are_made_share_nothing():
    one, another = made(CallLog), made(CallLog)
    one.metadata["a"] = 1

    assert another.metadata == {}
    assert one.pk != another.pk


def test_a_row_is_not_made_of_what_it_has_not():
    with pytest.raises(TypeError, match="CallLog has no numbr"):
        made(CallLog, numbr="+15005550009")


def test_a_written_row_is_no_new_one():
    row = schedule()

    insert_all([row])
    row.description = "changed"
    row.save(update_fields=["description"])

    assert CallSchedule.objects.get().description == "changed"


@pytest.mark.parametrize("told", ["a text", 'with "quotes"', 7, 1.5, True, [], [None, "x"], {}])
def test_json_of_any_kind_comes_back_as_it_was(told):
    insert_all([log(metadata=told), log(metadata={"another": None})])

    logs = CallLog.objects.order_by("pk")
    assert {type(told), dict} >= {type(each.metadata) for each in logs}
    assert told in [each.metadata for each in logs]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes texts of any length")
@pytest.mark.parametrize("another", ["CA1", "CA" + "1" * 63])
def test_a_text_that_is_too_long_is_refused_and_not_cut(another):
    with pytest.raises(DataError), transaction.atomic():
        insert_all([log(call_id="CA" + "1" * 63), log(call_id=another)])


def test_what_the_database_refuses_is_an_integrity_error():
    row = schedule()

    with pytest.raises(IntegrityError), transaction.atomic():
        insert_all([row, row])

    assert not CallSchedule.objects.exists()


def test_each_row_gets_its_own_values_and_keeps_the_rest():
    rows = [log(call_id=f"CA{n}", notes=HOSTILE, metadata={"n": n}) for n in range(3)]
    insert_all(rows)
    for n, row in enumerate(rows):
        row.status, row.next_check_at, row.error_message = "failed", MOMENT, f"{n} {HOSTILE}"
        row.call_id = "not among the fields"

    write_each(rows[:2], ("status", "next_check_at", "error_message"))

    first, second, third = (CallLog.objects.get(pk=row.pk) for row in rows)
    assert (first.error_message, second.error_message) == (f"0 {HOSTILE}", f"1 {HOSTILE}")
    assert (first.status, first.next_check_at, first.call_id) == ("failed", MOMENT, "CA0")
    assert (first.notes, first.metadata) == (HOSTILE, {"n": 0})
    assert (third.status, third.error_message) == ("pending", "")


def test_a_row_that_is_gone_is_not_made_anew():
    rows = [log(), log()]
    insert_all(rows)
    CallLog.objects.filter(pk=rows[0].pk).delete()
    rows[0].status = rows[1].status = "failed"

    write_each(rows, ("status",))

    assert CallLog.objects.get().pk == rows[1].pk


def test_nothing_is_asked_of_the_database_for_no_rows(django_assert_num_queries):
    with django_assert_num_queries(0):
        insert_all([])
        write_each([], ("status",))


def test_rows_among_many_ids_are_found():
    insert_all([schedule() for _ in range(5)])
    keys = list(CallSchedule.objects.order_by("pk").values_list("pk", flat=True))

    found = CallSchedule.objects.filter(among("pk", keys[1:3]))

    assert sorted(each.pk for each in found) == keys[1:3]
    assert CallSchedule.objects.filter(among("pk", keys[:1])).count() == 1
    assert not CallSchedule.objects.filter(among("pk", [])).exists()
    assert not CallSchedule.objects.filter(among("pk", ["schedule_none"])).exists()


def test_one_row_alone_comes_back_as_it_was_written_too():
    insert(schedule(description=HOSTILE, notes=HOSTILE, repeat_config={"cron": HOSTILE, "n": [1]}))

    found = CallSchedule.objects.get()
    assert (found.description, found.notes) == (HOSTILE, HOSTILE)
    assert found.repeat_config == {"cron": HOSTILE, "n": [1]}
    assert (found.calling_window, found.scheduled_time) == (None, MOMENT)
    assert found.phone == "+15005550006"


# -- one row, by compare-and-set -----------------------------------------------------------------


def test_a_row_is_changed_as_an_update_would_change_it():
    row, other = schedule(), schedule(phone="+15005550007")
    insert_all([row, other])
    told = {"status": "running", "description": HOSTILE, "duration": None, "last_updated": MOMENT}

    assert change(row, told | {"repeat_config": {"n": [HOSTILE]}}, status="created")

    found = CallSchedule.objects.get(pk=row.pk)
    assert {name: getattr(found, name) for name in told} == told
    assert found.repeat_config == {"n": [HOSTILE]}
    assert CallSchedule.objects.get(pk=other.pk).status == "created"


def test_a_row_that_somebody_else_has_moved_is_not_changed():
    row = schedule()
    insert(row)
    CallSchedule.objects.update(status="paused")

    assert not change(row, {"status": "running"}, status="created")

    assert CallSchedule.objects.get().status == "paused"
