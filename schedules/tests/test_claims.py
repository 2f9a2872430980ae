"""Claims: what is due is held by one runner at a time, and by none for ever."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from schedules import gate
from schedules.claims import claim_due, claim_undialled, give_back
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory

LEASE = timedelta(seconds=60)


def claim(runner="runner_a", limit=100, moment=None):
    return claim_due(runner_id=runner, moment=moment or timezone.now(), limit=limit, lease=LEASE)


def due(count=1, ago=1, **fields):
    moment = timezone.now() - timedelta(seconds=ago)
    return [ActiveScheduleFactory(occurrence=moment, **fields) for _ in range(count)]


@pytest.mark.django_db
def test_what_is_due_is_claimed_earliest_first():
    (late,) = due(ago=1)
    (early,) = due(ago=9)
    ActiveScheduleFactory()  # in an hour

    claimed = claim()

    assert [armed.pk for armed in claimed] == [early.pk, late.pk]
    assert {armed.status for armed in claimed} == {ActiveSchedule.Status.PENDING}
    assert all(armed.lease for armed in claimed)
    assert set(CallSchedule.objects.values_list("status", flat=True)) == {"pending", "scheduled"}


@pytest.mark.django_db
def test_the_schedule_of_a_call_that_waits_for_nobody_is_not_pending():
    (armed,) = due()

    claim_due(runner_id="a", moment=timezone.now(), limit=1, lease=LEASE, are_queued=False)

    armed.refresh_from_db()
    assert armed.status == ActiveSchedule.Status.PENDING
    assert armed.schedule.status == ScheduleStatus.SCHEDULED


@pytest.mark.django_db
def test_no_more_is_claimed_than_asked_for():
    due(5)

    assert len(claim(limit=3)) == 3
    assert len(claim(limit=3)) == 2


@pytest.mark.django_db
def test_a_paused_call_is_never_due():
    due(status=ActiveSchedule.Status.PAUSED, next_execution=None)

    assert claim() == []


@pytest.mark.django_db
def test_a_claim_is_taken_over_when_its_lease_has_run_out():
    due()
    now = timezone.now()
    claim("runner_a", moment=now)

    held = claim("runner_b", moment=now + LEASE - timedelta(seconds=1))
    taken_over = claim("runner_b", moment=now + LEASE + timedelta(seconds=1))

    assert held == []
    assert [armed.runner_id for armed in taken_over] == ["runner_b"]


@pytest.mark.django_db
def test_a_stopping_runner_gives_back_what_it_has_not_begun():
    begun, waiting, foreign = due(3)
    claim("runner_a")
    ActiveSchedule.objects.filter(pk=begun.pk).update(status=ActiveSchedule.Status.RUNNING)
    ActiveSchedule.objects.filter(pk=foreign.pk).update(runner_id="runner_b")

    returned = give_back(runner_id="runner_a")

    assert returned == 1
    assert [armed.pk for armed in claim("runner_c")] == [waiting.pk]
    waiting.schedule.refresh_from_db()
    assert waiting.schedule.status == ScheduleStatus.PENDING  # of runner_c now


@pytest.mark.django_db
def test_what_a_dead_runner_has_begun_is_taken_over_though_nothing_may_be_dialled():
    """It is only written down as unknown; the gate is for those that are dialled."""
    begun, _waiting = due(2)
    dead = {"lease": "lease_dead", "leased_until": timezone.now() - timedelta(seconds=1)}
    ActiveSchedule.objects.filter(pk=begun.pk).update(status="running", **dead)
    gate.close("A fire drill.", by="operator")

    claimed = claim()

    assert [armed.pk for armed in claimed] == [begun.pk]


@pytest.mark.django_db
def test_what_is_only_written_down_is_left_to_those_who_look_back():
    now = timezone.now()
    kinds = due(ago=400) + due(ago=400, next_execution=now, waits_for="Its line is busy.")
    kinds += due(status="running", lease="a", leased_until=now - LEASE)
    (in_time,) = due()

    at_first = claim_due(runner_id="a", moment=now, limit=9, lease=LEASE, looks_back=False)
    later = claim_due(runner_id="a", moment=now, limit=9, lease=LEASE)

    assert [armed.pk for armed in at_first] == [in_time.pk]
    assert {armed.pk for armed in later} == {armed.pk for armed in kinds}


@pytest.mark.django_db
def test_what_is_only_written_down_can_be_claimed_alone_whatever_the_gate_says():
    now = timezone.now()
    kinds = due(ago=400) + due(ago=400, next_execution=now, waits_for="Its line is busy.")
    kinds += due(status="running", lease="a", leased_until=now - LEASE)
    due()
    gate.close("A fire drill.", by="operator")

    claimed = claim_undialled(runner_id="a", moment=now, limit=9, lease=LEASE)
    again = claim_undialled(runner_id="a", moment=now, limit=9, lease=LEASE)

    assert {armed.pk for armed in claimed} == {armed.pk for armed in kinds}
    assert again == []
    held = ActiveSchedule.objects.filter(lease=claimed[0].lease, leased_until=now + LEASE)
    assert held.count() == 3


@pytest.mark.django_db
def test_what_is_only_written_down_counts_among_what_is_asked_for():
    due(3, ago=400)
    due(3, ago=400, next_execution=timezone.now(), waits_for="Its line is busy.")

    assert [len(claim(limit=4)) for _ in range(3)] == [4, 2, 0]


@pytest.mark.django_db(transaction=True)
def test_runners_that_claim_at_once_share_and_never_overlap():
    due(60)
    claimed: list[str] = []
    errors: list[Exception] = []
    begin = threading.Barrier(4)

    def run(runner: str) -> None:
        try:
            begin.wait()
            while found := claim(runner, limit=4):
                claimed.extend(armed.pk for armed in found)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(f"runner_{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert len(claimed) == len(set(claimed)) == 60
