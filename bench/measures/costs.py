"""What does a call cost? Processor time, bytes on disk and of WAL for a dial, a webhook and a row.

One runner and one web process on PostgreSQL, real HTTP to the loopback carrier. What they use
while nothing is due is measured first and taken away."""

import json
import time
from typing import Any

from bench.cpu import cpu_seconds, database_seconds
from bench.databases import ask, execute
from bench.figures import spread
from bench.polaris import Polaris
from bench.processes import end
from bench.trial import Bench, make_calls
from bench.webhook_client import EVENTS

_LEAD = 45  # seconds; ample for handing over a thousand calls on a busy machine
_IDLE = 10.0  # seconds
TABLES = ["call_schedules", "call_logs", "webhook_events", "audit_entries"]
_WAL = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint"


def measure(bench: Bench) -> dict[str, Any]:
    """Rounds on fresh databases; medians and ranges."""
    rounds = []
    for turn in range(bench.rounds):
        rounds.append(_one_round(bench))
        print(f"  round {turn + 1}: {json.dumps(rounds[-1])}", flush=True)
    return {
        "calls": bench.calls,
        "webhooks_a_call": len(EVENTS),
        "figures": {name: spread([one[name] for one in rounds]) for name in rounds[0]},
    }


def _one_round(bench: Bench) -> dict[str, float]:
    database = bench.server.create("costs")
    polaris = Polaris(bench.processes, carrier_url=bench.judge.url, database_url=database)
    polaris.migrate()
    try:
        found = _dial(bench, polaris)
        found |= _report(bench, polaris)
    finally:
        end(polaris.children)
    sealed = polaris.rows("seal")
    found["audit entries sealed a second"] = sealed["entries"] / sealed["seconds"]
    execute(database, "VACUUM ANALYZE")
    for table in TABLES:
        found[f"{table}, rows a call"] = _rows(database, table) / bench.calls
        found[f"{table}, bytes"] = _bytes(database, table)
    # Without the room that dead versions of rows have taken.
    execute(database, "VACUUM FULL")
    for table in TABLES:
        found[f"{table}, bytes when compacted"] = _bytes(database, table)
    bench.server.drop(database)
    return found


def _bytes(database: str, table: str) -> float:
    """Of a row with its indexes."""
    size = ask(database, f"SELECT pg_total_relation_size('{table}')")
    return size / max(1, _rows(database, table))


def _rows(database: str, table: str) -> int:
    return ask(database, f"SELECT count(*) FROM {table}")


def _dial(bench: Bench, polaris: Polaris) -> dict[str, float]:
    (runner,) = polaris.start_runners(1)
    time.sleep(2)
    idle = _Meter(polaris.database_url, runner.pid)
    time.sleep(_IDLE)
    process, database, wal, seconds = idle.read()
    found = {
        "idle runner, ms a second": 1000 * process / seconds,
        "idle runner's database, ms a second": 1000 * database / seconds,
    }
    bench.judge.reset()
    meter: list[_Meter] = []

    def schedule(calls: list[tuple[str, float]]) -> None:
        polaris.rows("calls", calls)
        meter.append(_Meter(polaris.database_url, runner.pid))

    make_calls(bench.judge, schedule, [0.0] * bench.calls, _LEAD)
    time.sleep(1)  # the last answers are written
    used, database_used, written, lasted = meter[0].read()
    end([runner])
    polaris.children.remove(runner)
    return found | {
        "dial, runner ms": 1000 * (used - process / seconds * lasted) / bench.calls,
        "dial, database ms": 1000 * (database_used - database / seconds * lasted) / bench.calls,
        "dial, WAL bytes of the whole server": (written - wal / seconds * lasted) / bench.calls,
    }


def _report(bench: Bench, polaris: Polaris) -> dict[str, float]:
    calls = [(a.phone, a.call_id, a.callback) for a in bench.judge.arrivals()]
    web = polaris.start_web()
    warm, measured = calls[: len(calls) // 10], calls[len(calls) // 10 :]
    bench.processes.run("webhook-client", ["-m", "bench.webhook_client"], warm)
    meter = _Meter(polaris.database_url, web.pid)
    bench.processes.run("webhook-client", ["-m", "bench.webhook_client"], measured)
    used, database_used, written, _ = meter.read()
    count = len(measured) * len(EVENTS)
    return {
        "webhook, web process ms": 1000 * used / count,
        "webhook, database ms": 1000 * database_used / count,
        "webhook, WAL bytes of the whole server": written / count,
    }


class _Meter:
    """Processor time of a process and of its database's back ends, and WAL, from now on."""

    def __init__(self, database: str, pid: int) -> None:
        self._database, self._pid = database, pid
        self._begun = self._now()

    def read(self) -> tuple[float, float, float, float]:
        """Seconds, seconds, bytes, and the seconds that have passed."""
        process, database, wal, moment = self._now()
        before = self._begun[1]
        grown = sum(used - before.get(pid, 0.0) for pid, used in database.items())
        return process - self._begun[0], grown, wal - self._begun[2], moment - self._begun[3]

    def _now(self) -> tuple[float, dict[int, float], int, float]:
        return (
            cpu_seconds(self._pid),
            database_seconds(self._database),
            ask(self._database, _WAL),
            time.monotonic(),
        )
