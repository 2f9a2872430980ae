"""A database was restored: the carrier's calls are told from what may be dialled yet."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from schedules import gate
from schedules.models import ActiveSchedule, CallSchedule, Runner
from schedules.states import ArmedStatus, ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.carriers.base import CallReport
from tracking.carriers.memory import MemoryCarrier
from tracking.management.commands import after_restore
from tracking.models import CallLog
from tracking.reports import apply_report
from tracking.restoring import (
    CarrierSilent,
    account_for_calls,
    close_what_was_due,
    last_sign_of_life,
)
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

TAKEN = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOW = TAKEN + timedelta(minutes=4)  # within the grace time of what was due then
PHONE = "+15005550006"
S = CallLog.Status
HOURLY = {"enabled": True, "frequency": "hourly", "interval": 1}
RETRIES = {"on": ["busy"], "attempts": 3, "delays": [60, 60]}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(TAKEN, tick=False) as clock:
        yield clock


def after(**span) -> datetime:
    return TAKEN + timedelta(**span)


def armed(due_at=None, *, phone=PHONE, status=ScheduleStatus.SCHEDULED, **more) -> ActiveSchedule:
    """What the backup holds of a call that was due after it."""
    due_at = due_at or after(minutes=1)
    policies = {name: more.pop(name) for name in ("repeat_config", "retry_policy") if name in more}
    schedule = CallScheduleFactory(scheduled_time=due_at, phone=phone, status=status, **policies)
    return ActiveScheduleFactory(schedule=schedule, **more)


def at_the_carrier(*made: datetime, phone=PHONE, status=S.COMPLETED) -> None:
    for moment in made:
        report = CallReport(
            call_id=f"CA{len(MemoryCarrier.listed)}",
            status=status,
            at=moment + timedelta(seconds=20),
            duration=10,
            phone=phone,
            made_at=moment,
        )
        MemoryCarrier.listed.insert(0, report)  # the newest first, as at Twilio


def restore(clock, *, at=NOW):
    clock.move_to(at)
    return account_for_calls(since=TAKEN)


def outcomes(row: ActiveSchedule) -> list[tuple[str, str, str]]:
    logs = CallLog.objects.filter(schedule_id=row.schedule_id).order_by("occurrence", "attempt")
    return [(log.status, log.call_id, log.error_code) for log in logs]


def is_armed(row: ActiveSchedule) -> bool:
    return ActiveSchedule.objects.filter(schedule_id=row.schedule_id).exists()


class TestWhatWasDialled:
    def test_is_taken_over_with_the_carriers_word(self, clock):
        row = armed()
        at_the_carrier(after(minutes=1, seconds=1))

        findings = restore(clock)

        assert outcomes(row) == [(S.COMPLETED, "CA0", "")]
        log = CallLog.objects.get()
        assert (log.timestamp, log.duration) == (after(minutes=1, seconds=1), 10)
        assert not is_armed(row)
        row.schedule.refresh_from_db()
        assert (row.schedule.status, row.schedule.call_id) == ("completed", "CA0")
        assert (len(findings.taken_over), findings.closed, findings.unexplained) == (1, [], [])

    def test_is_not_taken_over_twice(self, clock):
        armed()
        at_the_carrier(after(minutes=1))
        restore(clock)

        findings = account_for_calls(since=TAKEN)

        assert (findings.taken_over, findings.closed, findings.unexplained) == ([], [], [])

    def test_is_ours_though_a_webhook_has_told_of_it_first(self, clock):
        row = armed()
        at_the_carrier(after(minutes=1))
        apply_report(MemoryCarrier.listed[0])
        assert CallLog.objects.get().attempt == 0

        restore(clock)

        assert outcomes(row) == [(S.COMPLETED, "CA0", "")]
        assert CallLog.objects.count() == 1

    @pytest.mark.parametrize("status", [S.PENDING, S.UNKNOWN, S.DEFERRED])
    def test_had_a_log_in_the_backup_already(self, clock, status):
        row = armed(TAKEN, status=ScheduleStatus.RUNNING)
        CallLogFactory(schedule=row.schedule, phone=PHONE, status=status, call_id="", due_at=TAKEN)
        if status == S.UNKNOWN:
            row.delete()
        at_the_carrier(after(minutes=2))

        restore(clock)

        assert outcomes(row) == [(S.COMPLETED, "CA0", "")]
        assert not is_armed(row)

    def test_was_asked_for_long_before_the_last_heartbeat(self, clock):
        """It was in doubt when the backup was taken."""
        asked_at = after(minutes=-3)
        log = CallLogFactory(
            schedule__phone=PHONE, phone=PHONE, status=S.UNKNOWN, call_id="", timestamp=asked_at
        )
        CallLog.objects.update(due_at=asked_at)
        at_the_carrier(asked_at)

        restore(clock)

        log.refresh_from_db()
        assert (log.status, log.call_id) == (S.COMPLETED, "CA0")

    def test_goes_on_to_the_next_occurrence(self, clock):
        row = armed(repeat_config=HOURLY)
        at_the_carrier(after(minutes=1), after(hours=1, minutes=1))

        restore(clock, at=after(hours=1, minutes=3))

        assert outcomes(row) == [(S.COMPLETED, "CA0", ""), (S.COMPLETED, "CA1", "")]
        row.refresh_from_db()
        assert row.next_execution == after(hours=2, minutes=1)

    def test_is_told_from_an_earlier_occurrence_that_was_not(self, clock):
        """The engine was away for the first hour: it dialled the second time alone."""
        row = armed(repeat_config=HOURLY)
        at_the_carrier(after(hours=1, minutes=1))

        restore(clock, at=after(hours=1, minutes=3))

        assert outcomes(row) == [(S.FAILED, "", "restored"), (S.COMPLETED, "CA0", "")]

    def test_was_attempted_again_by_its_policy(self, clock):
        row = armed(retry_policy=RETRIES)
        at_the_carrier(after(minutes=1), after(minutes=3), status=S.BUSY)

        restore(clock)

        assert outcomes(row) == [(S.BUSY, "CA0", "busy"), (S.BUSY, "CA1", "busy")]
        third = ActiveSchedule.objects.get()
        assert (third.attempt, third.due_at) == (3, NOW + timedelta(minutes=1))

    def test_was_attempted_again_after_a_call_that_was_live_then(self, clock):
        schedule = CallScheduleFactory(phone=PHONE, status="running", retry_policy=RETRIES)
        CallLogFactory(schedule=schedule, phone=PHONE, status=S.RINGING, call_id="CAlive")
        MemoryCarrier.known["CAlive"] = CallReport("CAlive", S.BUSY, after(seconds=9), phone=PHONE)
        at_the_carrier(after(minutes=2))

        restore(clock)

        logs = CallLog.objects.order_by("attempt").values_list("attempt", "status", "call_id")
        assert list(logs) == [(1, S.BUSY, "CAlive"), (2, S.COMPLETED, "CA0")]
        assert not ActiveSchedule.objects.exists()

    def test_was_paused_in_the_backup(self, clock):
        row = armed(status="paused", next_execution=None)
        ActiveSchedule.objects.update(status=ArmedStatus.PAUSED, next_execution=None)
        at_the_carrier(after(minutes=2))

        restore(clock)

        assert outcomes(row) == [(S.COMPLETED, "CA0", "")]
        assert not is_armed(row)


class TestWhatCannotBeTold:
    def test_is_closed_with_its_reason(self, clock):
        first = armed(after(minutes=1))
        second = armed(after(minutes=2))
        at_the_carrier(after(minutes=2, seconds=5))

        findings = restore(clock)

        assert outcomes(first) == [(S.COMPLETED, "CA0", "")]
        assert outcomes(second) == [(S.FAILED, "", "restored")]
        assert "may have been dialled" in findings.closed[0].error_message
        second.schedule.refresh_from_db()
        assert second.schedule.status == "failed"

    def test_is_no_call_of_which_nothing_was_due(self, clock):
        row = armed(after(days=1))
        at_the_carrier(after(minutes=1))

        findings = restore(clock)

        assert outcomes(row) == []
        assert is_armed(row)
        assert [call.call_id for call in findings.unexplained] == ["CA0"]
        assert CallLog.objects.get(call_id="CA0").attempt == 0

    def test_is_closed_where_the_number_is_still_talked_to(self, clock):
        """Two calls to a number cannot be ours at once: one of them is somebody else's."""
        first, second = armed(after(minutes=1)), armed(after(minutes=2))
        at_the_carrier(after(minutes=1), after(minutes=2), status=S.IN_PROGRESS)

        findings = restore(clock)

        assert outcomes(first) == [(S.IN_PROGRESS, "CA0", "")]
        assert outcomes(second) == [(S.FAILED, "", "restored")]
        assert len(findings.unexplained) == 1

    def test_is_all_that_was_due_where_the_carrier_is_not_asked(self, clock):
        due = armed()
        other = armed(phone="+15005550007", repeat_config=HOURLY)
        ahead = armed(after(days=1), phone="+15005550008")
        MemoryCarrier.listed = None
        clock.move_to(NOW)

        findings = close_what_was_due()

        assert len(findings.closed) == 2
        assert outcomes(due) == outcomes(other) == [(S.FAILED, "", "restored")]
        assert (is_armed(due), is_armed(other), is_armed(ahead)) == (False, True, True)

    def test_is_left_to_be_mended_where_its_rule_cannot_be_followed(self, clock):
        row = armed(repeat_config=HOURLY)
        other = armed(phone="+15005550007")
        CallSchedule.objects.filter(pk=row.schedule_id).update(timezone="Europe/Atlantis")
        at_the_carrier(after(minutes=1))
        at_the_carrier(after(minutes=1), phone="+15005550007")

        restore(clock)

        assert outcomes(row) == [(S.COMPLETED, "CA0", "")]
        assert outcomes(other) == [(S.COMPLETED, "CA1", "")]
        row.schedule.refresh_from_db()
        assert row.schedule.status == ScheduleStatus.PAUSED
        assert "cannot be computed" in row.schedule.status_reason


class TestWhatWasNotDialled:
    def test_stays_armed_where_the_carrier_has_no_call_to_its_number(self, clock):
        row = armed()
        at_the_carrier(after(minutes=1), phone="+15005550099")

        restore(clock)

        assert outcomes(row) == []
        assert is_armed(row)

    def test_stays_armed_where_the_call_to_its_number_is_known(self, clock):
        CallLogFactory(phone=PHONE, status=S.COMPLETED, call_id="CA0")
        row = armed()
        at_the_carrier(after(seconds=-30))

        restore(clock)

        assert is_armed(row)

    def test_stays_armed_where_it_is_due_later(self, clock):
        row = armed()
        later = armed(after(hours=1))
        at_the_carrier(after(minutes=1))

        restore(clock)

        assert not is_armed(row)
        assert is_armed(later)


def test_nothing_is_changed_where_the_carrier_cannot_be_asked(clock):
    row = armed()
    MemoryCarrier.listed = None

    with pytest.raises(CarrierSilent):
        restore(clock)

    assert is_armed(row)


def test_the_backup_is_as_old_as_the_last_heartbeat_in_it():
    assert last_sign_of_life() is None
    Runner.objects.create(host="a", process_id=1, last_seen_at=after(minutes=-9))
    Runner.objects.create(host="b", process_id=2, last_seen_at=after(minutes=-1))

    assert last_sign_of_life() == after(minutes=-1)


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch, clock):
        monkeypatch.setattr(after_restore.time, "sleep", lambda _: None)
        Runner.objects.create(host="a", process_id=1, last_seen_at=TAKEN)
        clock.move_to(NOW)

    def run(self, *options: str) -> str:
        told = StringIO()
        call_command("after_restore", *options, stdout=told)
        return told.getvalue()

    def test_leaves_dialling_stopped(self):
        armed()
        at_the_carrier(after(minutes=1))

        told = self.run()

        assert gate.current().closed_by == "after_restore"
        assert "1 calls were dialled after the backup" in told
        assert "Dialling is stopped by after_restore" in told

    def test_lets_it_go_on_if_told_so(self):
        told = self.run("--dial")

        assert gate.current().closed_since is None
        assert "Dialling goes on" in told

    def test_opens_nothing_that_an_operator_had_closed(self):
        gate.close("A fire drill.", by="operator")

        self.run()

        assert gate.current().closed_by == "operator"

    def test_is_refused_while_a_runner_lives(self):
        row = armed()
        at_the_carrier(after(minutes=1))
        Runner.objects.create(host="b", process_id=2)

        with pytest.raises(CommandError, match=r"heard of less than 20 s ago \(b:2\)"):
            self.run()

        assert is_armed(row)
        assert gate.current().closed_since

    @pytest.mark.parametrize("since", ["yesterday", "2030-01-01T12:00:00", "2031-01-01T12:00:00Z"])
    def test_takes_a_moment_that_has_been(self, since):
        with pytest.raises(CommandError, match="--since"):
            self.run("--since", since)

    def test_asks_for_a_moment_where_no_runner_has_left_one(self):
        Runner.objects.all().delete()

        with pytest.raises(CommandError, match="--since"):
            self.run()

    def test_says_so_where_the_carrier_is_silent(self):
        MemoryCarrier.listed = None

        with pytest.raises(CommandError, match="--without-carrier"):
            self.run()

        assert gate.current().closed_since
        assert "may have been dialled" in self.run("--without-carrier")

    def test_repeated_it_does_not_believe_a_runner_that_ran_meanwhile(self, clock):
        """The carrier was away at first, and a supervisor started a runner."""
        row = armed()
        at_the_carrier(after(minutes=1))
        listed, MemoryCarrier.listed = MemoryCarrier.listed, None
        with pytest.raises(CommandError, match="cannot be asked"):
            self.run()
        Runner.objects.create(
            host="b", process_id=2, started_at=after(minutes=5), last_seen_at=after(minutes=5)
        )
        clock.move_to(after(minutes=6))
        MemoryCarrier.listed = listed

        told = self.run()

        assert "since 2030-01-01T12:00:00Z" in told
        assert "1 calls were dialled after the backup" in told
        assert not is_armed(row)

    @pytest.mark.parametrize("options", [[], ["--dial"]])
    def test_is_refused_where_a_runner_starts_while_it_waits(self, monkeypatch, options):
        monkeypatch.setattr(
            after_restore.time, "sleep", lambda _: Runner.objects.create(host="b", process_id=2)
        )
        row = armed()
        at_the_carrier(after(minutes=1))

        with pytest.raises(CommandError, match=r"\(b:2\)"):
            self.run(*options)

        assert is_armed(row)
        assert gate.current().closed_since

    def test_shows_numbers_masked(self):
        at_the_carrier(after(minutes=1))

        told = self.run()

        assert "CA0 to" in told
        assert PHONE not in told
        assert CallSchedule.objects.count() == 0
