"""Somebody notices that nobody runs, tells of it once, and tells when somebody is back."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from polaris.events import on, unregister
from schedules import runner, watch
from schedules.models import Runner, RunnerWatch
from schedules.tests.factories import ActiveScheduleFactory
from schedules.watch import Watcher

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(time_machine, settings):
    settings.RUNNER_MISSING_SECONDS = 60
    time_machine.move_to(NOW, tick=False)
    return time_machine


@pytest.fixture
def armed():
    return ActiveScheduleFactory(schedule__scheduled_time=NOW + timedelta(hours=3))


def seen(ago: float, *, lived: float = 3600, **fields) -> Runner:
    """Last heard of so many seconds ago, when it had lived for so long."""
    moment = NOW - timedelta(seconds=ago)
    fields |= {"last_seen_at": moment, "started_at": moment - timedelta(seconds=lived)}
    return Runner.objects.create(host="calls", process_id=1, **fields)


def names(told):
    return [event.name for event in told]


def test_a_silent_runner_is_missed_once(told, armed):
    seen(61)

    first, second = watch.note_missing(), watch.note_missing()

    assert (first, second, names(told)) == (True, False, ["runner.missing"])
    assert told[0].data == {
        "since": "2030-01-01T11:58:59Z",
        "next_execution": "2030-01-01T15:00:00Z",
        "waiting": 0,
    }


def test_what_is_due_and_not_dialled_is_counted(told):
    ActiveScheduleFactory(schedule__scheduled_time=NOW - timedelta(seconds=5))

    watch.note_missing()

    assert told[0].data["waiting"] == 1
    assert told[0].data["since"] == ""


@pytest.mark.parametrize(
    ("ago", "stopped"),
    [(1, False), (59, False), (59, True)],
    ids=["alive", "silent for a moment", "stopped a moment ago"],
)
def test_nobody_is_missed_who_was_heard_of_lately(told, armed, ago, stopped):
    seen(ago, stopped_at=NOW if stopped else None)

    assert not watch.note_missing()
    assert told == []


def test_nobody_is_missed_while_nothing_is_armed(told):
    seen(3600)

    assert not watch.note_missing()
    assert told == []


def test_a_runner_that_beats_again_is_back_once(told, armed):
    one = seen(3600)
    watch.note_missing()

    runner.beat(one.pk)
    runner.beat(one.pk)

    assert names(told) == ["runner.missing", "runner.back"]
    assert told[1].data == {"since": "2030-01-01T11:00:00Z"}
    assert not watch.is_missing()


def test_runners_that_fall_as_soon_as_they_have_started_are_none(told, armed):
    """A supervisor starts one every few seconds."""
    seen(3600)
    for ago in range(1, 60, 4):
        seen(ago, lived=1.4)

    assert watch.note_missing()
    assert not watch.note_back()

    assert names(told) == ["runner.missing"]


def test_a_runner_that_has_just_started_is_back_when_it_has_lived_for_a_while(told, armed, clock):
    seen(3600)
    watch.note_missing()
    new = seen(0, lived=0)
    runner.beat(new.pk)
    at_first = names(told)

    clock.move_to(NOW + timedelta(seconds=5), tick=False)
    runner.beat(new.pk)

    assert (at_first, names(told)) == (["runner.missing"], ["runner.missing", "runner.back"])


def test_every_outage_is_told_of(told, armed, clock):
    one = seen(3600)
    watch.note_missing()
    runner.beat(one.pk)
    clock.move_to(NOW + timedelta(minutes=10), tick=False)

    watch.note_missing()

    assert names(told) == ["runner.missing", "runner.back", "runner.missing"]


class TestWorkers:
    """Runners that hand over what they claim see to it that somebody is there to dial it."""

    @pytest.fixture
    def heard(self, settings):
        settings.SCHEDULER_EXECUTOR = "celery"
        events = []
        handler = on("worker.*", in_transaction=True)(events.append)
        yield events
        unregister(handler)

    @pytest.fixture
    def watching(self, monkeypatch):
        """Beats as often as a runner does, for so many seconds."""
        monkeypatch.setattr(watch, "_watcher_of_workers", Watcher(watch.WORKERS))

        def run(one, seconds):
            for second in range(0, seconds, 5):
                monkeypatch.setattr(watch.time, "monotonic", lambda second=second: float(second))
                runner.beat(one.pk)

        return run

    def test_the_last_worker_is_missed_by_a_living_runner(self, told, heard, armed, watching):
        seen(61, role="worker")

        watching(seen(0), 65)

        assert (names(told), names(heard)) == ([], ["worker.missing"])
        assert heard[0].data["since"] == "2030-01-01T11:58:59Z"
        assert watch.is_missing(watch.WORKERS)
        assert not watch.is_missing()

    def test_a_worker_that_beats_is_back(self, told, heard, armed, watching):
        worker = seen(61, role="worker")
        watching(seen(0), 65)

        runner.beat_of_worker(worker.pk)

        assert names(heard) == ["worker.missing", "worker.back"]
        assert told == []

    def test_threads_need_no_worker(self, heard, armed, watching, settings):
        settings.SCHEDULER_EXECUTOR = "threads"

        watching(seen(0), 65)

        assert heard == []

    def test_a_living_worker_is_no_runner(self, told, armed):
        seen(61)
        seen(0, role="worker")

        assert watch.note_missing()
        assert names(told) == ["runner.missing"]


def test_a_beat_during_good_times_tells_nothing(told):
    runner.beat(seen(1).pk)

    assert told == []
    assert not RunnerWatch.objects.exists()


class TestWatcher:
    """Judges by its own clock, so that nobody is missed who had no time to come."""

    @pytest.fixture
    def at(self, monkeypatch):
        """Moves the watcher's clock, in seconds."""
        return lambda second: monkeypatch.setattr(watch.time, "monotonic", lambda: float(second))

    def watching(self, at, *seconds):
        watcher = Watcher()
        for second in seconds:
            at(second)
            watcher.look()
        return watcher

    def test_a_watcher_that_has_just_begun_misses_nobody(self, told, armed, at):
        self.watching(at, *range(100, 160, 5))

        assert told == []

    def test_after_its_time_it_does(self, told, armed, at):
        self.watching(at, *range(100, 165, 5))

        assert names(told) == ["runner.missing"]

    def test_a_machine_that_slept_gives_runners_their_time_again(self, told, armed, at):
        self.watching(at, 100, 105, 3600, 3605)

        assert told == []

    def test_an_outage_of_the_database_gives_runners_their_time_again(
        self, told, armed, at, monkeypatch
    ):
        watcher = self.watching(at, *range(100, 155, 5))
        with monkeypatch.context() as away:

            def fail(_):
                raise OperationalError("gone")

            away.setattr(Watcher, "_judge", lambda *_: fail(0))
            at(155)
            with pytest.raises(OperationalError):
                watcher.look()

        for second in range(160, 215, 5):
            at(second)
            watcher.look()

        assert told == []

    def test_a_living_runner_ends_the_alarm(self, told, armed, at):
        watcher = self.watching(at, *range(100, 165, 5))
        seen(1)
        at(165)

        watcher.look()

        assert names(told) == ["runner.missing", "runner.back"]
