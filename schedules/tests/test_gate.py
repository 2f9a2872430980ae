"""The gate: the pace that all runners share, the calls at a time, and the halt of all dialling."""

import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.utils import timezone

from polaris.events import on, unregister
from schedules import gate
from schedules.claims import claim_due
from schedules.models import ActiveSchedule, Gate
from schedules.tests.factories import ActiveScheduleFactory

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=60)


def due(count=1, *, ago=1.0) -> None:
    moment = timezone.now() - timedelta(seconds=ago)
    for number in range(count):
        ActiveScheduleFactory(occurrence=moment + timedelta(milliseconds=number))


def claim(limit=100, moment=None, runner="runner_a"):
    return claim_due(runner_id=runner, moment=moment or timezone.now(), limit=limit, lease=LEASE)


@pytest.fixture
def heard():
    names = []

    @on("dialling.*")
    def hear(event):
        names.append(event.name)

    yield names
    unregister(hear)


class TestPace:
    def test_calls_are_given_evenly_spaced_moments(self, settings):
        settings.CALLS_PER_SECOND = 100
        due(20)
        now = timezone.now()

        claims = claim(moment=now)

        begins = [armed.begins_at for armed in claims]
        assert begins[0] == now
        assert {later - earlier for earlier, later in pairwise(begins)} == {
            timedelta(milliseconds=10)
        }
        assert begins[-1] <= now + gate.HORIZON

    def test_it_is_kept_across_runners(self, settings):
        settings.CALLS_PER_SECOND = 100
        due(200)
        start = timezone.now()

        begins = []
        for tick in range(0, 1000, 10):
            moment = start + timedelta(milliseconds=tick)
            runner = f"runner_{tick % 30}"
            begins += [armed.begins_at for armed in claim(moment=moment, runner=runner)]

        assert len(begins) == len(set(begins))
        spaced = pairwise(sorted(begins))
        assert min(later - earlier for earlier, later in spaced) >= timedelta(milliseconds=10)
        assert 100 <= len(begins) <= 106

    def test_what_was_not_used_is_not_saved_up(self, settings):
        settings.CALLS_PER_SECOND = 2
        due(10)
        now = timezone.now()
        claim(moment=now)

        later = claim(moment=now + timedelta(seconds=30))

        assert len(later) == 1

    def test_the_claims_say_when_to_look_again(self, settings):
        settings.CALLS_PER_SECOND = 2
        due(3)
        now = timezone.now()
        claim(moment=now)

        held_back = claim(moment=now)

        assert list(held_back) == []
        assert held_back.look_again == now + timedelta(seconds=0.5) - gate.HORIZON

    def test_nothing_is_dialled_before_its_time(self, settings):
        settings.CALLS_PER_SECOND = 1000
        soon = timezone.now() + timedelta(milliseconds=40)
        ActiveScheduleFactory(occurrence=soon)

        (armed,) = claim()

        assert armed.begins_at == ActiveSchedule.objects.get().due_at

    @pytest.mark.django_db(transaction=True)
    def test_runners_that_claim_at_once_share_the_slots(self, settings):
        settings.CALLS_PER_SECOND = 100
        due(60)
        begins, lock = [], threading.Lock()

        def run(name):
            for _ in range(5):
                claims = claim(runner=name)
                with lock:
                    begins.extend(armed.begins_at for armed in claims)
            connection.close()

        threads = [threading.Thread(target=run, args=(f"runner_{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        spaced = pairwise(sorted(begins))
        assert begins
        assert min(later - earlier for earlier, later in spaced) >= timedelta(milliseconds=10)


class TestCallsAtATime:
    def test_no_more_are_claimed_than_may_be_under_way(self, settings):
        settings.MAX_CONCURRENT_CALLS = 3
        due(5)

        assert len(claim()) == 3
        assert len(claim()) == 0

    def test_what_is_too_late_is_claimed_all_the_same_to_be_written_down(self, settings):
        settings.MAX_CONCURRENT_CALLS = 1
        due(2, ago=3600)
        due(2)

        claims = claim()

        assert len(claims) == 3


class TestHalt:
    def test_nothing_is_claimed_while_it_is_closed_but_what_is_too_late(self, heard):
        due(2)
        due(1, ago=3600)

        with_halt = gate.close("The account is suspended.")
        claims = claim()

        assert with_halt
        assert [armed.begins_at is not None for armed in claims] == [True]
        assert heard == []  # published on commit
        assert gate.current().reason == "The account is suspended."

    def test_one_call_at_a_time_is_tried_at_growing_intervals(self, settings):
        settings.DIALLING_PROBE_SECONDS = 10
        due(5)
        gate.close("No.")
        now = timezone.now()

        tried = [
            len(claim(moment=now + timedelta(seconds=seconds))) for seconds in (5, 11, 12, 25, 40)
        ]

        assert tried == [0, 1, 0, 0, 1]

    def test_it_opens_by_itself_unless_an_operator_has_closed_it(self):
        gate.close("No.")
        assert gate.reopen()
        assert not gate.reopen()

        gate.close("We stop for today.", by="operator")
        assert not gate.reopen()
        assert gate.current().closed_by == "operator"
        assert gate.reopen(by="operator")

    def test_an_operator_takes_a_halt_over(self):
        gate.close("No.")
        assert not gate.close("We look into it.", by="operator")

        assert gate.current().probe_at is None
        assert not gate.reopen()

    @pytest.mark.django_db(transaction=True)
    def test_each_halt_and_its_end_is_told_once(self, heard):
        gate.close("No.")
        gate.close("No.")
        gate.reopen()
        gate.reopen()

        assert heard == ["dialling.paused", "dialling.resumed"]

    def test_there_is_one_gate(self):
        gate.close("No.")
        gate.reopen()
        claim()

        assert Gate.objects.count() == 1
