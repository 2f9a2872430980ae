"""What a worker is handed: a hint, which may come late, twice or after dialling was stopped."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from schedules import gate, services
from schedules.claims import LEAD, claim_due, give_back_these, renew, still_held
from schedules.models import ActiveSchedule, CallSchedule, Gate
from schedules.states import ArmedStatus, ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.batches import Entry
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial_handed
from tracking.models import CallLog
from tracking.opening import Handed, HandedOpenings, _take_other_slots, open_handed
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=60)


def due(count=1, *, late=1.0, **fields) -> None:
    for number in range(count):
        moment = timezone.now() - timedelta(seconds=late)
        phone = f"+1500555{number:04d}"
        schedule = CallScheduleFactory(scheduled_time=moment, phone=phone, **fields)
        ActiveScheduleFactory(schedule=schedule)


def claim(limit=100, *, lease=LEASE) -> list[ActiveSchedule]:
    return claim_due(runner_id="runner_a", moment=timezone.now(), limit=limit, lease=lease)


def claimed_one(**how) -> ActiveSchedule:
    due(**how)
    (armed,) = claim()
    return armed


def hand(armed: ActiveSchedule, *, is_trial=False) -> None:
    dial_handed(armed.pk, armed.lease, armed.begins_at.timestamp(), is_trial)


def handed(armed: ActiveSchedule, *, late: float) -> Handed:
    return Handed(armed.pk, armed.lease, armed.begins_at.timestamp() - late)


def dial_late(armed: ActiveSchedule, *, late=5.0, is_trial=False) -> None:
    """Its message has missed its slot on its way."""
    armed.begins_at -= timedelta(seconds=late)
    hand(armed, is_trial=is_trial)


def placed() -> int:
    return len(MemoryCarrier.placed)


def test_a_message_has_its_row_dialled():
    hand(claimed_one())

    assert placed() == 1
    assert CallLog.objects.get().status == CallLog.Status.QUEUED


def test_a_message_that_comes_twice_places_one_call():
    armed = claimed_one()

    hand(armed)
    hand(armed)

    assert placed() == 1


def test_a_message_of_a_claim_that_ran_out_and_was_taken_over_places_none():
    stale = claimed_one()
    ActiveSchedule.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    (fresh,) = claim()

    hand(stale)
    assert (placed(), CallLog.objects.count()) == (0, 0)
    hand(fresh)

    assert placed() == 1


def test_a_message_of_a_claim_that_ran_out_and_that_nobody_took_over_places_none():
    armed = claimed_one()
    ActiveSchedule.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    hand(armed)

    assert placed() == 0
    (again,) = claim()
    hand(again)
    assert placed() == 1


@pytest.mark.parametrize("act", [services.pause, services.cancel])
def test_a_message_about_what_was_paused_or_cancelled_places_none(act):
    armed = claimed_one()
    act(CallSchedule.objects.get())

    hand(armed)

    assert placed() == 0


def test_a_row_that_is_begun_has_a_whole_lease_however_long_it_waited(settings):
    armed = claimed_one()
    ActiveSchedule.objects.update(leased_until=timezone.now() + timedelta(seconds=1))

    (opening,) = open_handed([Handed(armed.pk, armed.lease)]).values()

    row = ActiveSchedule.objects.get()
    assert row.status == ArmedStatus.RUNNING
    assert row.leased_until == opening.armed.leased_until
    assert row.leased_until > timezone.now() + settings.SCHEDULER_LEASE - timedelta(seconds=5)


def test_a_message_opens_nothing_of_other_claims():
    """Two rows of two claims, and messages that name each with the other's lease."""
    due(2)
    (first,), (second,) = claim(1), claim(1)

    crossed = [Handed(first.pk, second.lease), Handed(second.pk, first.lease)]

    assert open_handed(crossed) == {}
    assert not CallLog.objects.exists()


class TestStoppedDialling:
    def test_what_is_on_its_way_is_handed_back(self):
        armed = claimed_one()
        gate.close("Enough.", by="operator")

        hand(armed)

        row = ActiveSchedule.objects.get()
        assert placed() == 0
        assert (row.status, row.lease, row.leased_until) == (ArmedStatus.SCHEDULED, "", None)
        assert CallSchedule.objects.get().status == ScheduleStatus.SCHEDULED
        assert not CallLog.objects.exists()

    def test_a_trial_that_is_taken_lets_dialling_go_on(self):
        gate.close("The account is suspended.")
        Gate.objects.update(probe_at=timezone.now())
        armed = claimed_one()
        gate._seen.is_closed = False  # another process has claimed it

        hand(armed, is_trial=True)

        assert placed() == 1
        assert gate.is_open()

    def test_a_trial_waits_too_where_an_operator_has_stopped_it(self):
        gate.close("The account is suspended.")
        Gate.objects.update(probe_at=timezone.now())
        armed = claimed_one()
        gate.close("Enough.", by="operator")

        hand(armed, is_trial=True)

        assert placed() == 0
        assert not gate.is_open()

    def test_a_trial_that_is_not_dialled_leaves_its_turn_to_another(self):
        gate.close("The account is suspended.")
        Gate.objects.update(probe_at=timezone.now())
        armed = claimed_one()
        CallLogFactory(
            status=CallLog.Status.IN_PROGRESS, phone=armed.schedule.phone
        )  # the line is busy

        hand(armed, is_trial=True)

        assert placed() == 0
        assert Gate.objects.get().probes == 0

    def test_what_is_too_late_is_written_down_all_the_same(self):
        gate.close("Enough.", by="operator")
        armed = claimed_one(late=3600)

        hand(armed)

        assert CallLog.objects.get().status == CallLog.Status.MISSED


class TestThePace:
    @pytest.fixture(autouse=True)
    def _clock(self, time_machine):
        time_machine.move_to(timezone.now(), tick=False)

    def test_who_has_missed_its_slot_takes_another(self, settings):
        settings.CALLS_PER_SECOND = 2
        armed = claimed_one()
        taken = Gate.objects.get().next_slot

        dial_late(armed, late=0.5)

        assert placed() == 1
        assert Gate.objects.get().next_slot > taken

    def test_who_comes_in_time_keeps_its_own(self, settings):
        settings.CALLS_PER_SECOND = 2
        armed = claimed_one()
        taken = Gate.objects.get().next_slot

        hand(armed)

        assert placed() == 1
        assert Gate.objects.get().next_slot == taken

    def test_the_slots_of_those_that_come_late_together_are_apart(self, settings):
        due(2)
        claims = claim()
        settings.CALLS_PER_SECOND = 10
        late = [Entry(handed(armed, late=5)) for armed in claims]

        _take_other_slots(late)

        first, second = (entry.result for entry in late)
        assert second - first == timedelta(seconds=0.1)

    def test_a_message_whose_claim_was_lost_takes_no_slot(self, settings):
        settings.CALLS_PER_SECOND = 2
        armed = claimed_one()
        ActiveSchedule.objects.update(lease="lease_other")
        taken = Gate.objects.get().next_slot

        dial_late(armed)

        assert placed() == 0
        assert Gate.objects.get().next_slot == taken

    def test_where_none_is_free_soon_it_is_handed_back(self, settings):
        settings.CALLS_PER_SECOND = 2
        armed = claimed_one()
        taken = timezone.now() + timedelta(seconds=1.1)
        Gate.objects.update(next_slot=taken)

        dial_late(armed)

        row = ActiveSchedule.objects.get()
        assert placed() == 0
        assert (row.status, row.lease) == (ArmedStatus.SCHEDULED, "")
        assert not CallLog.objects.exists()
        assert Gate.objects.get().next_slot == taken

    def test_a_trial_that_is_handed_back_leaves_its_turn_to_another(self, settings):
        gate.close("The account is suspended.")
        Gate.objects.update(probe_at=timezone.now())
        armed = claimed_one()
        settings.CALLS_PER_SECOND = 2
        Gate.objects.update(next_slot=timezone.now() + timedelta(hours=1))

        dial_late(armed, is_trial=True)

        assert placed() == 0
        assert Gate.objects.get().probes == 0

    @pytest.mark.parametrize(
        "wish",
        [
            lambda _: gate.close("Enough.", by="operator"),
            services.cancel,
            services.pause,
        ],
        ids=["dialling is stopped", "it is cancelled", "it is paused"],
    )
    def test_while_it_waits_for_its_slot_it_is_not_begun(self, settings, monkeypatch, wish):
        settings.CALLS_PER_SECOND = 2
        armed = claimed_one()
        Gate.objects.update(next_slot=timezone.now() + timedelta(seconds=0.6))
        waited = []

        def wait(seconds):
            if not waited:
                wish(CallSchedule.objects.get())
            waited.append(seconds)

        monkeypatch.setattr("tracking.dialling.time.sleep", wait)

        dial_late(armed)

        assert waited == [pytest.approx(0.6 - LEAD.total_seconds(), abs=1e-5)]
        assert (placed(), CallLog.objects.count()) == (0, 0)

    def test_it_begins_in_its_slot(self, settings, monkeypatch):
        settings.CALLS_PER_SECOND = 2
        armed = claimed_one()
        slot = timezone.now() + timedelta(seconds=0.6)
        Gate.objects.update(next_slot=slot)
        waited = []
        monkeypatch.setattr("tracking.dialling.time.sleep", waited.append)

        dial_late(armed)

        # This clock stands still: the first wait is for the opening, the other for the call.
        assert waited == pytest.approx([0.475, 0.6], abs=1e-5)
        assert placed() == 1


class TestClaimsOnTheirWay:
    def test_are_known_while_they_hold(self):
        due(3)
        first, second, third = claim()
        ActiveSchedule.objects.filter(pk=second.pk).update(lease="lease_other")
        ActiveSchedule.objects.filter(pk=third.pk).update(leased_until=timezone.now())
        keys = [(armed.pk, armed.lease) for armed in (first, second, third)]

        assert still_held(keys) == {keys[0]: ArmedStatus.PENDING}

    def test_are_renewed_unless_they_are_begun(self):
        due(2)
        claims = claim(lease=timedelta(seconds=5))
        keys = [(armed.pk, armed.lease) for armed in claims]
        hand(claims[0])

        assert renew(keys, LEASE) == 1
        assert ActiveSchedule.objects.get().leased_until > timezone.now() + timedelta(seconds=50)

    def test_are_given_back_unless_they_are_begun(self):
        due(2)
        claims = claim()
        open_handed([Handed(claims[0].pk, claims[0].lease)])

        assert give_back_these([(armed.pk, armed.lease) for armed in claims]) == 1

        statuses = dict(ActiveSchedule.objects.values_list("pk", "status"))
        assert statuses == {
            claims[0].pk: ArmedStatus.RUNNING,
            claims[1].pk: ArmedStatus.SCHEDULED,
        }


@pytest.mark.django_db(transaction=True)
def test_what_comes_at_the_same_time_is_opened_together_and_once():
    """Each of twenty messages twice, from forty threads."""
    due(20)
    claims = claim()
    openings, found, lock = HandedOpenings(), [], threading.Lock()
    begin = threading.Barrier(40)

    def take(armed: ActiveSchedule) -> None:
        begin.wait()
        try:
            opening = openings.take(Handed(armed.pk, armed.lease))
            with lock:
                found.append(opening.armed.pk if opening else None)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(armed,)) for armed in [*claims, *claims]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(pk for pk in found if pk) == sorted(armed.pk for armed in claims)
    assert found.count(None) == 20
    assert CallLog.objects.count() == 20
