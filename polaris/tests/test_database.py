"""Transactions: one writer of a process at a time on SQLite, and what errors mean."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from polaris.database import (
    atomic,
    one_statement,
    sent_together,
)
from schedules.models import Gate

only_sqlite = pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="other databases have many writers"
)


def write(key="calls"):
    Gate.objects.filter(pk=key).update(reason="written")


@only_sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("block", [atomic, one_statement])
def test_the_writers_of_a_process_queue_up_instead_of_asking_sqlite_again_and_again(block):
    asks, failures = threading.Event(), []

    def come_second():
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")  # SQLite itself would refuse at once
        asks.set()
        try:
            with block():
                write()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    second = threading.Thread(target=come_second)
    with atomic():
        write()
        second.start()
        assert asks.wait(10)
        time.sleep(0.1)
    second.join()

    assert failures == []


@pytest.mark.sql("MongoDB has no savepoints: a write that is refused undoes its transaction")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("block", [atomic, one_statement])
def test_a_write_that_is_refused_leaves_the_transaction_usable(block):
    with atomic():
        Gate.objects.create()
        with pytest.raises(IntegrityError), block():
            Gate.objects.create()
        write()

    assert Gate.objects.get().reason == "written"


@pytest.mark.sql("MongoDB has no savepoints: a write that is refused undoes its transaction")
@pytest.mark.django_db(transaction=True)
def test_without_a_savepoint_an_error_undoes_everything():
    def go_on_after_an_error():
        Gate.objects.create()
        with suppress(IntegrityError), atomic(savepoint=False):
            Gate.objects.create()
        write()

    with pytest.raises(transaction.TransactionManagementError), atomic():
        go_on_after_an_error()

    assert not Gate.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_block_within_a_block_does_not_wait_for_itself():
    with atomic(), atomic(), one_statement():
        Gate.objects.create()

    assert Gate.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_together_is_written_together():
    with atomic(), sent_together():
        Gate.objects.create(id="one")
        Gate.objects.create(id="two")

    assert Gate.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("twice", ["one", "two"])
def test_of_what_is_sent_together_one_refusal_undoes_all(twice):
    Gate.objects.create(id=twice)

    def send():
        with sent_together():
            Gate.objects.create(id="one")
            Gate.objects.create(id="two")

    with pytest.raises(IntegrityError), atomic():
        send()

    assert [gate.pk for gate in Gate.objects.all()] == [twice]


@pytest.mark.django_db(transaction=True)
def test_what_follows_is_read_as_ever():
    with atomic():
        with sent_together():
            Gate.objects.create()
        assert Gate.objects.update(reason="written") == 1

    assert Gate.objects.get().reason == "written"


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="it has a reader of its own")
@pytest.mark.parametrize(
    "written",
    [
        "2026-03-29 01:30:00+00",
        "2026-03-29 01:30:00.1+00",
        "2026-03-29 01:30:00.123456+00",
        "0001-01-01 00:00:00+00",
        "9999-12-31 23:59:59.999999+00",
    ],
)
def test_a_moment_is_read_as_it_was_written(written):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [written])
        ((moment,),) = cursor.fetchall()

    assert moment == datetime.fromisoformat(written)
    assert moment.tzinfo is UTC


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="it has a reader of its own")
@pytest.mark.parametrize("written", ["infinity", "10000-01-01 00:00:00+00", "0044-03-15 00:00 BC"])
def test_a_moment_beyond_the_calendar_is_refused(written):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [written])
        with pytest.raises(DataError):
            cursor.fetchall()
