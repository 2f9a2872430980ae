"""Calls that say nothing by themselves: looked up, asked for, stopped."""

import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DataError, OperationalError

from polaris.events import on, unregister
from schedules import services
from schedules.claims import claim_due
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking import following_up
from tracking.carriers.base import CallNotAccepted, CallReport, Trouble
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial
from tracking.following_up import follow_up
from tracking.models import CallLog
from tracking.reports import LEASE, SILENCE, apply_report, ask_for_all, ask_sooner
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
PHONE = "+15005550006"
S = CallLog.Status


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def dial_what_is_due() -> None:
    moment = datetime.now(UTC)
    for armed in claim_due(
        runner_id="runner_a", moment=moment, limit=9, lease=timedelta(seconds=60)
    ):
        dial(armed.pk, armed.lease)


@pytest.fixture
def unknown() -> CallLog:
    """A call whose create got no answer."""
    schedule = CallScheduleFactory(scheduled_time=NOW, phone=PHONE)
    ActiveScheduleFactory(schedule=schedule)
    MemoryCarrier.troubles.append(
        CallNotAccepted(Trouble.AMBIGUOUS, code="ambiguous", message="No answer.")
    )
    dial_what_is_due()
    return CallLog.objects.get()


def listed(call_id="CA7", at=NOW, status=S.RINGING) -> CallReport:
    return CallReport(call_id=call_id, status=status, at=at, phone=PHONE)


def follow_up_after(clock, **span) -> CallLog:
    clock.shift(timedelta(**span))
    follow_up()
    return CallLog.objects.order_by("attempt").first()


class TestLookUp:
    def test_the_one_call_to_the_number_at_that_time_is_this_one(self, unknown, clock):
        MemoryCarrier.listed = [listed()]

        log = follow_up_after(clock, seconds=6)

        assert (log.status, log.call_id, log.error_code) == (S.RINGING, "CA7", "")
        assert CallSchedule.objects.get().call_id == "CA7"
        assert len(MemoryCarrier.placed) == 1

    def test_it_waits_a_moment_for_a_webhook_first(self, unknown, clock):
        MemoryCarrier.listed = [listed()]

        assert follow_up_after(clock, seconds=3).status == S.UNKNOWN

    def test_one_whose_number_cannot_be_read_asks_for_attention(self, unknown, clock, settings):
        settings.ENCRYPTION_KEYS = [secrets.token_urlsafe(32)]

        follow_up_after(clock, seconds=80)

        log = CallLog.objects.only("status", "attention", "next_check_at").get()
        assert log.status == S.UNKNOWN
        assert log.attention.startswith("It cannot be looked up. It is sealed with the key")
        assert log.next_check_at == NOW + timedelta(seconds=80, minutes=5)

    def test_a_call_that_another_log_holds_is_not_this_one(self, unknown, clock):
        CallLogFactory(phone="+15005550009", call_id="CA7", status=S.COMPLETED)
        MemoryCarrier.listed = [listed()]

        follow_up_after(clock, seconds=6)

        unknown.refresh_from_db()
        assert unknown.status == S.UNKNOWN

    def test_absence_counts_only_after_a_waiting_time(self, unknown, clock):
        assert follow_up_after(clock, seconds=6).status == S.UNKNOWN
        assert follow_up_after(clock, seconds=60).status == S.UNKNOWN
        MemoryCarrier.listed = [listed()]

        assert follow_up_after(clock, seconds=6).status == S.RINGING

    def test_with_that_proof_it_is_dialled_again_as_the_next_attempt(self, unknown, clock):
        log = follow_up_after(clock, seconds=80)

        assert (log.status, log.error_code) == (S.FAILED, "not_placed")
        assert log.error_message == "The carrier never took this call. It is dialled again."
        armed = ActiveSchedule.objects.get()
        assert (armed.attempt, armed.occurrence, armed.due_at) == (2, NOW, NOW)
        assert CallSchedule.objects.get().status == ScheduleStatus.SCHEDULED

        dial_what_is_due()

        again = CallLog.objects.get(attempt=2)
        assert (again.status, again.lateness) == (S.QUEUED, timedelta(seconds=80))

    def test_but_not_when_its_grace_has_passed(self, unknown, clock):
        log = follow_up_after(clock, seconds=400)

        assert log.error_message.endswith("It is too late to dial it again.")
        assert not ActiveSchedule.objects.exists()
        assert CallSchedule.objects.get().status == ScheduleStatus.FAILED

    def test_nor_where_its_schedule_was_cancelled(self, unknown, clock):
        services.cancel(CallSchedule.objects.get())

        follow_up_after(clock, seconds=80)

        assert not ActiveSchedule.objects.exists()
        assert CallSchedule.objects.get().status == ScheduleStatus.CANCELLED

    def test_a_carrier_that_cannot_say_proves_nothing(self, unknown, clock):
        MemoryCarrier.listed = None

        log = follow_up_after(clock, seconds=200)

        assert log.status == S.UNKNOWN
        assert log.next_check_at > datetime.now(UTC)

    def test_two_that_may_be_it_are_left_to_an_operator(self, unknown, clock):
        MemoryCarrier.listed = [listed(), listed("CA8")]

        log = follow_up_after(clock, seconds=6)

        assert log.status == S.UNKNOWN
        assert log.attention == "2 calls at the carrier may be this one."

    def test_a_webhook_that_comes_first_settles_it(self, unknown, clock):
        apply_report(CallReport(call_id="CA9", status=S.COMPLETED, at=NOW, attempt_id=unknown.pk))

        log = follow_up_after(clock, seconds=400)

        assert (log.status, log.call_id, log.next_check_at) == (S.COMPLETED, "CA9", None)


class TestSilentCall:
    @pytest.fixture
    def log(self) -> CallLog:
        schedule = CallScheduleFactory(scheduled_time=NOW, status=ScheduleStatus.RUNNING)
        return CallLogFactory(
            schedule=schedule, status=S.RINGING, timestamp=NOW, next_check_at=NOW + SILENCE
        )

    def test_is_asked_for(self, log, clock):
        MemoryCarrier.known[log.call_id] = CallReport(
            call_id=log.call_id, status=S.COMPLETED, at=NOW, duration=42
        )

        assert follow_up_after(clock, minutes=4).status == S.RINGING
        found = follow_up_after(clock, minutes=2)

        assert (found.status, found.duration, found.next_check_at) == (S.COMPLETED, 42, None)
        assert CallSchedule.objects.get().status == ScheduleStatus.COMPLETED

    def test_is_asked_for_again_while_it_lasts(self, log, clock):
        MemoryCarrier.known[log.call_id] = CallReport(
            call_id=log.call_id, status=S.IN_PROGRESS, at=NOW
        )

        found = follow_up_after(clock, minutes=6)

        assert found.status == S.IN_PROGRESS
        assert found.next_check_at == datetime.now(UTC) + SILENCE

    @pytest.mark.django_db(transaction=True)
    def test_is_flagged_where_it_is_stuck_and_told_of_once(self, log, clock):
        told = []

        @on("call.stuck")
        def hear(event):
            told.append(event.data["log_id"])

        MemoryCarrier.known[log.call_id] = CallReport(call_id=log.call_id, status=S.RINGING, at=NOW)
        try:
            found = follow_up_after(clock, hours=5)
            follow_up_after(clock, hours=1)
        finally:
            unregister(hear)

        assert "longer than a call can last" in found.attention
        assert told == [log.pk]

    def test_is_flagged_where_the_carrier_cannot_be_asked_for_long(self, log, clock):
        found = follow_up_after(clock, minutes=6)
        assert found.attention == ""

        found = follow_up_after(clock, minutes=6)

        assert "cannot be asked" in found.attention

    def test_is_looked_at_by_one_runner_at_a_time(self, log, clock, monkeypatch):
        asked = []

        def fetch(_, call_id):
            asked.append(call_id)
            follow_up()  # another runner, meanwhile

        monkeypatch.setattr(MemoryCarrier, "fetch_call", fetch)

        follow_up_after(clock, minutes=6)

        assert asked == [log.call_id]


class TestAsking:
    """One that is asked for while something else happens."""

    def call(self, **fields) -> CallLog:
        schedule = CallScheduleFactory(scheduled_time=NOW, status=ScheduleStatus.RUNNING)
        return CallLogFactory(
            **{"schedule": schedule, "status": S.RINGING, "timestamp": NOW, "next_check_at": NOW}
            | fields
        )

    def test_that_the_carrier_does_not_know_a_young_call_proves_nothing(self, clock):
        log = self.call()
        MemoryCarrier.known[log.call_id] = CallReport(
            call_id=log.call_id, status=S.FAILED, at=NOW, is_absent=True
        )

        assert follow_up_after(clock, seconds=1).status == S.RINGING
        assert follow_up_after(clock, seconds=60).status == S.RINGING
        assert follow_up_after(clock, seconds=60).status == S.FAILED

    def test_a_wish_to_hang_up_that_comes_meanwhile_is_not_put_off(self, monkeypatch):
        log = self.call(status=S.IN_PROGRESS)
        report = CallReport(call_id=log.call_id, status=S.IN_PROGRESS, at=NOW)

        def fetch(_, call_id):
            CallLog.objects.filter(pk=log.pk).update(stop="hang_up", next_check_at=NOW)
            return report

        monkeypatch.setattr(MemoryCarrier, "fetch_call", fetch)
        follow_up()
        MemoryCarrier.known[log.call_id] = report
        follow_up()

        assert MemoryCarrier.stopped == [(log.call_id, True)]

    def test_a_carrier_that_cannot_be_asked_is_asked_once_a_minute_though_others_wait(self, clock):
        log = self.call()

        for _ in range(12):
            ask_sooner(log.pk)
            follow_up_after(clock, seconds=15)

        assert len(MemoryCarrier.fetched) == 3

    def test_who_waits_does_not_disturb_who_asks(self, clock):
        log = self.call()
        held = NOW + LEASE
        CallLog.objects.filter(pk=log.pk).update(next_check_at=held)

        ask_sooner(log.pk)
        ask_for_all()

        log.refresh_from_db()
        assert log.next_check_at == held


class TestTheDatabaseWasAway:
    @pytest.fixture
    def away(self, monkeypatch):
        """Takes it away, as this process sees it."""

        def fail(*_):
            raise OperationalError("the connection is closed")

        def take_away():
            with monkeypatch.context() as patched, suppress(OperationalError):
                patched.setattr(following_up, "_due", fail)
                patched.setattr(following_up, "is_away", lambda _: True)
                follow_up()

        yield take_away
        following_up._seen.is_away = False

    def calls(self, count: int, *, silent_for: timedelta = timedelta(minutes=2)) -> None:
        for number in range(count):
            CallLogFactory(
                call_id=f"CA{number}",
                status=S.IN_PROGRESS,
                timestamp=NOW - timedelta(minutes=5),
                next_check_at=NOW - silent_for + SILENCE,
            )
            MemoryCarrier.known[f"CA{number}"] = CallReport(
                call_id=f"CA{number}", status=S.COMPLETED, at=NOW, duration=9
            )

    def test_live_calls_are_asked_for_when_it_is_back(self, away):
        self.calls(2)

        away()
        follow_up()

        assert {log.status for log in CallLog.objects.all()} == {S.COMPLETED}

    def test_those_that_have_just_told_something_a_minute_later(self, away, clock):
        self.calls(1, silent_for=timedelta(seconds=1))

        away()
        follow_up()
        assert follow_up_after(clock, seconds=59).status == S.IN_PROGRESS
        assert follow_up_after(clock, seconds=1).status == S.COMPLETED

    def test_and_no_second_time(self, away):
        self.calls(1)
        MemoryCarrier.known["CA0"] = CallReport(call_id="CA0", status=S.IN_PROGRESS, at=NOW)

        for _ in range(2):  # two runners find out one after the other
            away()
            follow_up()
        follow_up()

        assert MemoryCarrier.fetched == ["CA0"]

    def test_what_nobody_knows_does_not_wait_for_all_of_them(self, away, unknown, clock):
        self.calls(120)
        MemoryCarrier.listed = [listed("CA999")]
        clock.shift(timedelta(seconds=6))

        away()
        follow_up()

        unknown.refresh_from_db()
        assert unknown.status == S.RINGING
        assert len(MemoryCarrier.fetched) == 50

    def test_an_error_of_another_kind_asks_for_nothing(self, monkeypatch):
        self.calls(1)

        def fail():
            raise DataError("value too long")

        with monkeypatch.context() as patched, suppress(DataError):
            patched.setattr(following_up, "_due", fail)
            follow_up()
        follow_up()

        assert MemoryCarrier.fetched == []


class TestStopping:
    def call(self, status=S.QUEUED, **fields) -> CallLog:
        schedule = CallScheduleFactory(
            scheduled_time=NOW,
            status=ScheduleStatus.RUNNING,
            repeat_config={"enabled": True, "frequency": "daily"},
        )
        return CallLogFactory(schedule=schedule, status=status, timestamp=NOW, **fields)

    @pytest.mark.parametrize("act", [services.pause, services.cancel])
    def test_a_call_that_waits_at_the_carrier_is_cancelled_there(self, act):
        log = self.call()
        MemoryCarrier.known[log.call_id] = CallReport(
            call_id=log.call_id, status=S.CANCELLED, at=NOW
        )

        act(CallSchedule.objects.get())
        follow_up()

        log.refresh_from_db()
        assert MemoryCarrier.stopped == [(log.call_id, False)]
        assert log.status == S.CANCELLED

    def test_one_that_is_talked_goes_on(self):
        log = self.call(S.IN_PROGRESS)
        MemoryCarrier.known[log.call_id] = CallReport(
            call_id=log.call_id, status=S.IN_PROGRESS, at=NOW
        )

        services.cancel(CallSchedule.objects.get())
        follow_up()

        log.refresh_from_db()
        assert (log.status, log.stop) == (S.IN_PROGRESS, "")

    def test_or_is_hung_up_as_asked(self):
        log = self.call(S.IN_PROGRESS)

        services.cancel(CallSchedule.objects.get(), hang_up=True)
        follow_up()

        assert MemoryCarrier.stopped == [(log.call_id, True)]

    def test_it_is_tried_again_where_the_carrier_cannot_be_asked(self, clock):
        self.call()
        services.cancel(CallSchedule.objects.get())

        follow_up()
        follow_up_after(clock, seconds=6)

        assert len(MemoryCarrier.stopped) == 2

    def test_a_call_whose_answer_is_outstanding_is_stopped_once_it_has_come(self, monkeypatch):
        schedule = CallScheduleFactory(
            scheduled_time=NOW, repeat_config={"enabled": True, "frequency": "daily"}
        )
        ActiveScheduleFactory(schedule=schedule)
        place = MemoryCarrier.place_call

        def cancel_meanwhile(carrier, request):
            services.cancel(CallSchedule.objects.get())
            return place(carrier, request)

        monkeypatch.setattr(MemoryCarrier, "place_call", cancel_meanwhile)
        dial_what_is_due()
        log = CallLog.objects.get()
        assert log.status == S.QUEUED

        follow_up()

        assert MemoryCarrier.stopped == [(log.call_id, False)]
