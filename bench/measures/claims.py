"""How many due occurrences a second are claimed and dealt with, the carrier being in memory?

All is on but HTTP: the gate, leases, the ledger row committed before the carrier is asked, its
answer, the audit, sealed columns, the next occurrence of those that repeat. Two ways: processes
that call the engine's functions one after the other in batches (bench/claimer.py), and whole
runners. The status callbacks of Twilio are not in it."""

import json
import time
from typing import Any

from bench.cpu import cpu_seconds
from bench.databases import ask
from bench.figures import spread
from bench.polaris import Polaris
from bench.processes import Child, Failed, end, wait_until
from bench.trial import Bench

OCCURRENCES = 10_000
RECURRING = OCCURRENCES // 5
PACE = 10_000  # calls a second: the most that can be set
# Who claims: processes, and how many they claim at once.
ENGINES = [(1, 64), (1, 500), (2, 500)]
# Whole runners, and the calls that each may have in hand.
RUNNERS = [(1, 64), (1, 200), (2, 200)]
_LEAD = 5  # seconds
_PATIENCE = 300  # seconds; a limit for a machine under load, not a claim

_PLACED = "SELECT count(*) FROM call_logs WHERE call_id <> '' AND status = 'queued'"
# What must be so afterwards, by the number that it gives.
_CHECKS = {
    "a ledger row for each, with the carrier's answer": (_PLACED, OCCURRENCES),
    "no other ledger row": ("SELECT count(*) FROM call_logs", OCCURRENCES),
    "an audit entry for each": (
        "SELECT count(DISTINCT object_id) FROM audit_entries WHERE verb = 'call.placed'",
        OCCURRENCES,
    ),
    "armed again: those that repeat, for the next day": (
        "SELECT count(*) FROM active_schedules WHERE status = 'scheduled' AND lease = '' "
        "AND due_at > now() + interval '23 hours'",
        RECURRING,
    ),
    "nothing else is armed": ("SELECT count(*) FROM active_schedules", RECURRING),
    "every schedule is under way": (
        "SELECT count(*) FROM call_schedules WHERE status = 'running' AND call_id <> ''",
        OCCURRENCES,
    ),
}


def measure(bench: Bench) -> dict[str, Any]:
    """Rates, and processor time for each occurrence, in interleaved rounds."""
    ways = {
        f"{processes} x engine, batches of {batch}": (_by_engine, processes, batch)
        for processes, batch in ENGINES
    } | {
        f"{count} x runner, {places} in hand": (_by_runners, count, places)
        for count, places in RUNNERS
    }
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for turn in range(bench.rounds):
        for name, (way, processes, batch) in ways.items():
            found = _one_round(bench, way, processes, batch)
            rounds[name].append(found)
            print(f"  round {turn + 1}, {name}: {_shown(found)}", flush=True)
    return {
        "occurrences": OCCURRENCES,
        "recurring": RECURRING,
        "pace": PACE,
        "ways": {
            name: {figure: spread([one[figure] for one in made]) for figure in made[0]}
            for name, made in rounds.items()
        },
        "checked": list(_CHECKS),
    }


def _one_round(bench: Bench, way: Any, processes: int, batch: int) -> dict[str, float]:
    polaris = Polaris(
        bench.processes,
        carrier_url=bench.judge.url,
        database_url=bench.server.create("claims"),
        settings="bench.in_memory.settings",
        CALLS_PER_SECOND=str(PACE),
        SCHEDULER_WORKERS=str(min(batch, 200)),
    )
    polaris.migrate()
    try:
        found = way(polaris, processes, batch)
    finally:
        end(polaris.children)
    for what, (query, expected) in _CHECKS.items():
        if (counted := ask(polaris.database_url, query)) != expected:
            raise Failed(f"{what}: {counted:,} and not {expected:,}")
    bench.server.drop(polaris.database_url)
    return found


def _by_engine(polaris: Polaris, processes: int, batch: int) -> dict[str, float]:
    claimers = [polaris.start_claimer(batch) for _ in range(processes)]
    polaris.rows("due", _due(at=time.time()))
    for each in claimers:
        each.tell("go")
    told = [_told(each) for each in claimers]
    seconds = max(each["ended"] for each in told) - min(each["began"] for each in told)
    steps = {
        f"{step}_ms": 1000 * sum(each["steps"][step] for each in told) / OCCURRENCES
        for step in told[0]["steps"]
    }
    return {
        "rate": OCCURRENCES / seconds,
        "python_ms": 1000 * sum(each["cpu"] for each in told) / OCCURRENCES,
        "database_ms": 1000 * sum(each["database_cpu"] for each in told) / OCCURRENCES,
    } | steps


def _told(claimer: Child) -> dict[str, Any]:
    if claimer.process.wait(_PATIENCE):
        raise Failed(claimer.printed()[-3000:])
    return json.loads(claimer.printed().strip().splitlines()[-1])


def _by_runners(polaris: Polaris, processes: int, _: int) -> dict[str, float]:
    due = float(int(time.time()) + _LEAD + OCCURRENCES // 1000)
    polaris.rows("due", _due(at=due))
    runners = polaris.start_runners(processes)
    if time.time() > due:
        raise Failed("the runners were not ready when the calls were due")
    used = -sum(cpu_seconds(each.pid) for each in runners)
    time.sleep(max(0.0, due - time.time()))
    wait_until(
        lambda: ask(polaris.database_url, _PLACED) >= OCCURRENCES,
        what="all are placed",
        patience=_PATIENCE,
    )
    used += sum(cpu_seconds(each.pid) for each in runners)
    last = "SELECT extract(epoch FROM max(last_updated))::float8 FROM call_logs"
    seconds = ask(polaris.database_url, last) - due
    return {"rate": OCCURRENCES / seconds, "python_ms": 1000 * used / OCCURRENCES}


def _due(*, at: float) -> dict[str, float]:
    return {"calls": OCCURRENCES, "recurring": RECURRING, "at": at}


def _shown(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in found.items())
