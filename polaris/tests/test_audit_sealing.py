"""The chain of the audit: every entry gets one place, whatever commits when."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from polaris.audit import retention, sealing
from polaris.audit.models import AuditChain, AuditEntry
from polaris.audit.recording import Act, record
from polaris.audit.sealing import SealedMeanwhile, move_chain, seal, seal_batch
from polaris.audit.verifying import verify
from polaris.database import atomic

THE_DAY = datetime(2026, 1, 10, 9, tzinfo=UTC)


def write(count: int = 1) -> None:
    record(*(Act("call.placed", "call", f"log_{n}", "schedule_1") for n in range(count)))


def places() -> list[int | None]:
    rows = AuditEntry.objects.order_by("sequence")
    return list(rows.values_list("sequence", flat=True))


@pytest.mark.django_db
class TestSealing:
    def test_numbers_the_entries_in_order_and_chains_them(self):
        write(3)

        assert seal() == 3

        rows = list(AuditEntry.objects.order_by("id").values_list("sequence", "hash"))
        assert [sequence for sequence, _ in rows] == [1, 2, 3]
        assert len({its_hash for _, its_hash in rows}) == 3
        chain = AuditChain.objects.get()
        assert (chain.sequence, chain.hash) == rows[-1]
        assert verify().problems == []

    def test_goes_on_where_the_last_turn_ended(self):
        write(2)
        seal()
        before = list(AuditEntry.objects.filter(sequence__lte=2).values())
        write(2)

        assert seal() == 2

        assert places() == [1, 2, 3, 4]
        assert list(AuditEntry.objects.filter(sequence__lte=2).values()) == before
        assert verify().checked == 4

    def test_of_nothing_changes_nothing(self):
        assert seal() == 0

    def test_takes_as_many_turns_as_it_needs(self, monkeypatch):
        monkeypatch.setattr(sealing, "AT_ONCE", 10)
        write(25)

        assert seal() == 25
        assert places() == list(range(1, 26))

    def test_gives_up_where_the_chain_has_been_moved_on_meanwhile(self):
        write(2)
        seal()
        stale = AuditChain.objects.get()
        write(1)
        seal()

        with pytest.raises(SealedMeanwhile):
            move_chain(stale, sequence=99)

        assert AuditChain.objects.get().sequence == 3

    def test_depends_on_every_column_of_an_entry(self):
        write(1)
        entry = AuditEntry.objects.values_list(*sealing.CONTENT).get()
        whole = sealing.hash_of("", 1, entry)

        for number, value in enumerate(entry):
            other = value + timedelta(seconds=1) if number == 1 else f"{value}x"
            altered = (*entry[:number], other, *entry[number + 1 :])
            assert sealing.hash_of("", 1, altered) != whole, sealing.CONTENT[number]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="there is one writer at a time")
def test_an_entry_that_commits_late_gets_the_next_number(transactional_db):
    is_written, may_commit = threading.Event(), threading.Event()

    def late() -> None:
        try:
            with atomic():
                record(Act("call.ended", "call", "late"))
                is_written.set()
                may_commit.wait()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(late)
        is_written.wait()
        write(3)
        assert seal() == 3
        may_commit.set()
        done.result()

    late_one = AuditEntry.objects.get(object_id="late")
    assert late_one.sequence is None
    assert late_one.pk < AuditEntry.objects.order_by("id").last().pk
    assert seal() == 1
    assert AuditEntry.objects.get(object_id="late").sequence == 4
    assert verify().problems == []


def test_two_who_seal_at_once_give_every_entry_one_place(transactional_db, monkeypatch):
    monkeypatch.setattr(sealing, "AT_ONCE", 7)
    write(100)
    begin = threading.Barrier(2)

    def seal_all() -> None:
        begin.wait()
        try:
            while AuditEntry.objects.filter(sequence=None).exists():
                seal_batch()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(seal_all) for _ in range(2)]:
            done.result()

    assert places() == list(range(1, 101))
    assert verify().problems == []


def test_writers_that_commit_and_roll_back_meanwhile_leave_no_hole(transactional_db):
    writers, rounds = 3, 25
    is_over = threading.Event()

    def work(number: int) -> None:
        try:
            for turn in range(rounds):
                try:
                    with atomic():
                        record(Act("call.placed", "call", f"{number}-{turn}"))
                        if turn % 5 == 0:
                            raise InterruptedError
                except InterruptedError:
                    pass
        finally:
            connection.close()

    def keep_sealing() -> None:
        try:
            while not is_over.is_set():
                seal()
        finally:
            connection.close()

    with ThreadPoolExecutor(writers + 1) as threads:
        sealer = threads.submit(keep_sealing)
        for done in [threads.submit(work, number) for number in range(writers)]:
            done.result()
        is_over.set()
        sealer.result()
    seal()

    kept = writers * rounds * 4 // 5
    assert places() == list(range(1, kept + 1))
    assert AuditEntry.objects.values("object_id").distinct().count() == kept
    assert verify().problems == []


@pytest.mark.django_db
class TestForgetting:
    @pytest.fixture(autouse=True)
    def _kept_for_a_month(self, settings):
        settings.AUDIT_KEPT_DAYS = 30

    def at(self, *, day: int, count: int = 1) -> None:
        with time_machine.travel(THE_DAY + timedelta(days=day), tick=False):
            write(count)
            seal()

    def prune(self, *, day: int) -> int:
        with time_machine.travel(THE_DAY + timedelta(days=day), tick=False):
            return retention.prune()

    def test_takes_what_is_old_and_leaves_a_chain_that_verifies(self):
        self.at(day=0, count=3)
        self.at(day=20, count=2)

        assert self.prune(day=31) == 3

        assert AuditEntry.objects.filter(sequence__lte=3).count() == 0
        assert verify().problems == []
        assert verify().checked == 2

    def test_is_itself_an_entry_that_names_the_place(self):
        self.at(day=0, count=3)
        last = AuditEntry.objects.get(sequence=3).hash

        self.prune(day=31)

        entry = AuditEntry.objects.get(verb="audit.prune")
        assert entry.object_id == "3"
        assert last in entry.changes

    def test_goes_on_from_there_and_needs_the_older_entry_no_more(self):
        self.at(day=0, count=3)
        self.prune(day=31)
        self.at(day=32, count=1)

        assert self.prune(day=100) == 2
        assert seal() == 1
        assert verify().problems == []

    def test_stops_at_the_first_that_is_kept(self):
        self.at(day=20)
        self.at(day=0)  # sealed late

        assert self.prune(day=31) == 0

    def test_leaves_what_is_not_sealed(self):
        with time_machine.travel(THE_DAY, tick=False):
            write(1)

        assert self.prune(day=100) == 0
        assert AuditEntry.objects.count() == 1

    def test_does_not_happen_where_entries_are_kept_for_good(self, settings):
        settings.AUDIT_KEPT_DAYS = 0
        self.at(day=0)

        assert self.prune(day=3000) == 0
        assert AuditEntry.objects.count() == 1

    def test_takes_as_many_turns_as_it_needs(self, monkeypatch):
        monkeypatch.setattr(retention, "_AT_ONCE", 2)
        self.at(day=0, count=5)

        assert self.prune(day=31) == 5
        assert seal() == 3
        assert verify().problems == []
