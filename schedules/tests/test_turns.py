"""Turns: a housekeeping job is done by one runner at a time, and a dead one does not stop it."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from polaris.tests.stack import wait_until
from schedules import turns
from schedules.models import Turn

done: list[str] = []


def tidy() -> None:
    """Stands for a housekeeping job."""
    done.append("tidy")


@pytest.fixture(autouse=True)
def _tidy(settings):
    done.clear()
    settings.HOUSEKEEPING = {"tidy": {"job": f"{__name__}:tidy", "every": timedelta(minutes=1)}}


@pytest.mark.django_db
def test_a_turn_is_held_by_one_and_free_again_when_it_is_given_back():
    assert turns.take("tidy", holder="a")
    assert not turns.take("tidy", holder="b")

    turns.give_back("tidy", holder="a")

    assert turns.take("tidy", holder="b")


@pytest.mark.django_db
def test_turns_of_different_jobs_do_not_meet():
    assert turns.take("tidy", holder="a")

    assert turns.take("count", holder="b")


@pytest.mark.django_db
def test_the_turn_of_a_dead_runner_runs_out():
    assert turns.take("tidy", holder="dead")

    with time_machine.travel(timezone.now() + turns.LEASE - timedelta(seconds=5)):
        assert not turns.take("tidy", holder="b")
    with time_machine.travel(timezone.now() + turns.LEASE + timedelta(seconds=5)):
        assert turns.take("tidy", holder="b")
        assert not turns.renew("tidy", holder="dead")


@pytest.mark.django_db
def test_a_turn_that_is_renewed_does_not_run_out():
    assert turns.take("tidy", holder="a")

    with time_machine.travel(timezone.now() + turns.LEASE / 2):
        assert turns.renew("tidy", holder="a")
    with time_machine.travel(timezone.now() + turns.LEASE + timedelta(seconds=5)):
        assert not turns.take("tidy", holder="b")


@pytest.mark.django_db
def test_who_has_lost_a_turn_does_not_end_that_of_the_next():
    turns.take("tidy", holder="slow")
    Turn.objects.update(until=timezone.now() - timedelta(seconds=1))
    turns.take("tidy", holder="next")

    turns.give_back("tidy", holder="slow")

    assert Turn.objects.get().holder == "next"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_want_it_at_once_one_gets_it():
    begin = threading.Barrier(8)
    got, errors = [], []

    def want(holder: str) -> None:
        try:
            begin.wait()
            if turns.take("tidy", holder=holder):
                got.append(holder)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=want, args=(f"runner_{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert got == [Turn.objects.get().holder]


@pytest.mark.django_db(transaction=True)
def test_a_job_is_done_in_its_turn_and_passed_over_in_anothers():
    turns.run("tidy")
    assert done == ["tidy"]
    assert Turn.objects.get().holder == ""

    turns.take("tidy", holder="another runner")
    turns.run("tidy")
    assert done == ["tidy"]


@pytest.mark.django_db(transaction=True)
def test_a_job_is_done_though_the_server_has_ended_its_connection(monkeypatch):
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL ends connections")
    # As in a runner.
    monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", False)
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 600)
    connection.close()
    connection.ensure_connection()
    own = connection.connection.info.backend_pid
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
    other.close()

    turns.run("tidy")

    assert done == ["tidy"]
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_job_that_fails_gives_its_turn_back():
    with pytest.raises(RuntimeError), turns.turn_of("tidy"):
        raise RuntimeError

    assert turns.take("tidy", holder="b")


@pytest.mark.django_db(transaction=True)
def test_a_long_job_keeps_its_turn(monkeypatch):
    monkeypatch.setattr(turns, "LEASE", timedelta(seconds=60))
    monkeypatch.setattr(turns, "RENEWED_EVERY", timedelta(milliseconds=20))

    with turns.turn_of("tidy") as is_ours:
        assert is_ours
        until = Turn.objects.get().until
        wait_until(lambda: Turn.objects.get().until > until, what="it is kept")
