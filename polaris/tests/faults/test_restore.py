"""A backup is taken while calls are being placed, more are placed, and the backup is restored: none
of them is placed again, and what was not placed is."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection

from polaris.tests.faults.engine import (
    PATIENCE,
    Engine,
    arranged,
    comes_to_rest,
    kill,
    let_silence_pass,
    moment,
)
from polaris.tests.faults.evidence import story
from polaris.tests.stack import HOME, database_url, wait_until
from schedules import gate
from schedules.models import CallSchedule
from tracking.models import CallLog
from tracking.simulator.testing import SimulatedCarrier

pytestmark = pytest.mark.faults

ONCE = [("completed", "")]
RETRIES = {"on": ["busy"], "attempts": 3, "delays": [1, 1]}


class Backup:
    """One of the database that this test runs on, by the means its kind has for it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "backup"
        self._original = dict(connection.settings_dict)
        self._restored = f"restored_{uuid4().hex[:12]}"
        if connection.vendor == "sqlite":
            self._restored = str(folder / self._restored)
        elif connection.vendor != "postgresql" or not shutil.which("pg_dump"):
            pytest.skip("there is no pg_dump on this machine")

    def take(self) -> None:
        if connection.vendor == "sqlite":
            self._copy(self._original["NAME"], str(self._file))
        else:
            self._run("pg_dump", "-Fc", "-f", str(self._file), str(self._original["NAME"]))

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Into a fresh database, which the test and the engine see instead of the old one."""
        connection.close()
        if connection.vendor == "sqlite":
            self._copy(str(self._file), self._restored)
        else:
            self._run("createdb", self._restored)
            self._run("pg_restore", "-d", self._restored, str(self._file))
        connection.settings_dict["NAME"] = self._restored
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = self._original["NAME"]
            if connection.vendor == "postgresql":
                self._run("dropdb", "--force", self._restored)

    def _copy(self, source: str, target: str) -> None:
        """SQLite's online backup."""
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)

    def _run(self, program: str, *arguments: str) -> None:
        server = {
            "PGHOST": self._original["HOST"] or "127.0.0.1",
            "PGPORT": str(self._original["PORT"] or 5432),
            "PGUSER": self._original["USER"],
            "PGPASSWORD": self._original["PASSWORD"],
        }
        environment = os.environ | {name: value for name, value in server.items() if value}
        subprocess.run([program, *arguments], check=True, env=environment)


def lose_everything(engine: Engine) -> None:
    """The machine dies, with whatever it was doing."""
    for process in engine._processes:
        kill(process)


def after_restore(engine: Engine, *options: str) -> subprocess.CompletedProcess[str]:
    """As an operator would, once the heartbeats of the backup are old."""
    return subprocess.run(
        [sys.executable, "manage.py", "after_restore", *options],
        cwd=HOME,
        env=engine.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def let_heartbeats_grow_old(engine: Engine, *options: str) -> subprocess.CompletedProcess[str]:
    """Refused while a runner may be alive, and carried out when none can be."""
    refused = []

    def is_done() -> subprocess.CompletedProcess[str] | None:
        done = after_restore(engine, *options)
        if done.returncode:
            assert "A runner was heard of" in done.stderr, done.stderr
            refused.append(done)
        return done if not done.returncode else None

    done = wait_until(is_done, what="the command is carried out", patience=PATIENCE)
    assert refused, "a heartbeat was younger than 20 s"
    return done


def times_called(carrier: SimulatedCarrier) -> Counter[str]:
    return Counter(call["to"] for call in carrier.calls())


def is_placed(schedule: CallSchedule) -> bool:
    return CallLog.objects.filter(schedule_id=schedule.pk).exclude(call_id="").exists()


def test_what_was_dialled_after_the_backup_is_not_dialled_again(
    engine: Engine, client_of_web, tmp_path: Path
):
    backup = Backup(tmp_path)
    engine.start_runner()
    before = arranged()
    wait_until(lambda: is_placed(before), what="a call before the backup", patience=PATIENCE)
    endings = ["99", "01", "15", "17", "20", "22", "23", "99"]
    due = [arranged(ending, at=moment(6 + n / 4)) for n, ending in enumerate(endings)]
    again = arranged("01", at=moment(6), retry_policy=RETRIES)
    hourly = arranged(at=moment(6), repeat_config={"frequency": "hourly", "interval": 1})
    later = arranged(at=moment(45))
    far = arranged(at=moment(3600))

    backup.take()
    stranger = arranged()
    dialled = [*due, hourly, stranger]
    wait_until(lambda: all(map(is_placed, dialled)), what="calls after it", patience=PATIENCE)
    wait_until(lambda: times_called(engine.carrier)[again.phone] == 3, what="three attempts")
    placed = times_called(engine.carrier)
    lose_everything(engine)
    with backup.restored():
        engine.environment["DATABASE_URL"] = database_url()
        assert not any(map(is_placed, due)), "the backup knows nothing of them"
        told = let_heartbeats_grow_old(engine)
        assert gate.current().closed_by == "after_restore"
        engine.start_web()
        engine.start_runner()
        gate.reopen(by="operator")
        CallSchedule.objects.filter(pk=far.pk).delete()
        wait_until(lambda: is_placed(later), what="what comes later", patience=PATIENCE)
        only_hourly_is_left(hourly)
        stories = [story(schedule) for schedule in due]

        assert times_called(engine.carrier) == placed + Counter([later.phone])
        assert stories == [[("busy", "busy")] if e == "01" else ONCE for e in endings]
        assert story(again) == [("busy", "busy")] * 3
        assert story(hourly) == story(before) == story(later) == ONCE
        assert not CallSchedule.objects.filter(pk=stranger.pk).exists()
        assert "1 calls at the carrier are nobody's" in told.stdout


def only_hourly_is_left(hourly: CallSchedule) -> None:
    """All has come to its end but what goes on for ever, which waits for its next hour."""

    def is_so() -> bool:
        hourly.refresh_from_db()
        return hourly.status == "scheduled"

    wait_until(is_so, what="the hourly one waits", patience=PATIENCE)
    next_hour = hourly.armed.get()
    assert next_hour.occurrence > hourly.scheduled_time
    rows = hourly.armed.all()
    kept = list(rows)
    rows.delete()
    CallSchedule.objects.filter(pk=hourly.pk).update(status="completed")
    comes_to_rest(let_silence_pass)
    assert len(kept) == 1


def test_what_was_due_and_not_dialled_is_dialled_after_the_restore(engine: Engine, tmp_path: Path):
    """The carrier has no call to its number: that is as good as knowing."""
    backup = Backup(tmp_path)
    runner = engine.start_runner()
    runner.terminate()
    runner.wait()
    schedule = arranged("20", at=moment(1))
    backup.take()
    with backup.restored():
        engine.environment["DATABASE_URL"] = database_url()
        done = after_restore(engine, "--dial")
        engine.start_runner()
        comes_to_rest(let_silence_pass)

        assert done.returncode == 0, done.stderr
        assert story(schedule) == ONCE
        assert engine.carrier.accepted() == 1
