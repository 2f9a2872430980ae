"""A transaction of inserts: all or nothing, told of afterwards, whatever else is asked within."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from polaris.database import atomic, inserted_together, on_commit
from polaris.inserting import insert, insert_all
from schedules.models import ActiveSchedule, Gate

pytestmark = pytest.mark.django_db(transaction=True)


def by_the_orm(key):
    Gate.objects.create(id=key)


def by_ourselves(key):
    insert(Gate(id=key))


def many(key):
    insert_all([Gate(id=key)])


def in_a_block(key):
    with atomic():
        insert(Gate(id=key))


ways = pytest.mark.parametrize("first", [by_the_orm, by_ourselves, many, in_a_block])
other_ways = pytest.mark.parametrize("second", [by_the_orm, by_ourselves, many, in_a_block])


def keys():
    return sorted(gate.pk for gate in Gate.objects.all())


@ways
@other_ways
def test_all_is_committed_once_and_told_afterwards(first, second):
    told = []

    with inserted_together():
        first("one")
        on_commit(lambda: told.append(keys()))
        second("two")
        on_commit(lambda: told.append("the last"))
        assert told == []

    assert told == [["one", "two"], "the last"]
    assert connection.get_autocommit()


@ways
@other_ways
@pytest.mark.parametrize("twice", ["one", "two"])
def test_one_refusal_undoes_all(first, second, twice):
    Gate.objects.create(id=twice)
    told = []

    def send():
        with inserted_together():
            first("one")
            second("two")
            on_commit(lambda: told.append("committed"))

    with pytest.raises(IntegrityError):
        send()

    assert keys() == [twice]
    assert told == []
    assert connection.get_autocommit()


@ways
def test_an_error_of_ours_undoes_all(first):
    def fail():
        with inserted_together():
            first("one")
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert not Gate.objects.exists()
    insert(Gate(id="two"))  # nothing of it waits for the next
    assert keys() == ["two"]


@pytest.mark.sql("MongoDB has no foreign keys")
@ways
def test_what_the_database_judges_at_the_commit_undoes_all(first):
    def send():
        with inserted_together():
            first("one")
            insert(ActiveSchedule(schedule_id="nobody's", occurrence=timezone.now()))

    with pytest.raises(IntegrityError):
        send()

    assert not Gate.objects.exists()


@ways
def test_what_is_read_within_sees_what_was_inserted(first):
    with inserted_together():
        first("one")
        assert keys() == ["one"]
        insert(Gate(id="two"))
        assert keys() == ["one", "two"]

    assert keys() == ["one", "two"]


@ways
def test_within_a_transaction_it_stands_or_falls_with_it(first):
    def fail():
        with atomic():
            with inserted_together():
                first("one")
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert not Gate.objects.exists()


@ways
def test_a_block_within_another_is_part_of_it(first):
    def fail():
        with inserted_together():
            first("one")
            with inserted_together():
                insert(Gate(id="two"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert not Gate.objects.exists()


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="others have a statement for each")
def test_postgresql_is_told_all_in_one_statement():
    with CaptureQueriesContext(connection) as asked, inserted_together():
        insert(Gate(id="one"))
        insert(Gate(id="two"))
        insert_all([Gate(id="three"), Gate(id="four")])

    assert len(asked) == 1
    assert keys() == ["four", "one", "three", "two"]


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="others begin at once")
def test_a_transaction_of_django_s_own_within_is_refused():
    """It would end before ours has begun."""

    def mix():
        with inserted_together():
            insert(Gate(id="one"))
            with transaction.atomic():
                Gate.objects.create(id="two")

    with pytest.raises(RuntimeError, match=r"polaris\.database\.atomic"):
        mix()

    assert not Gate.objects.exists()
