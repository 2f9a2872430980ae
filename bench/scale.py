"""The tables of docs/scale.md, from a run of `costs` and `claims`: prints Markdown.

python -m bench.scale bench/results/<date>/results.json …      later files take the place of earlier
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

from bench.table import table

WEBHOOKS = 4  # a call: initiated, ringing, answered, completed
BUSY = 0.6  # of a core; what is left is for bursts
RATES = (1_000, 100_000)  # calls a minute
RUNNER_CONNECTIONS, WEB_CONNECTIONS = 11, 9  # at most; WEB_WORKERS is 8
SERVER_CORES = 32  # of a large database server
STORED = ("call_schedules", "call_logs", "webhook_events", "audit_entries")


def main(files: list[str]) -> None:
    """Costs, a call, what so many a minute need."""
    results: dict[str, Any] = {}
    for file in files:
        results |= json.loads(Path(file).read_text())
    cost = {name: each["median"] for name, each in results["costs"]["figures"].items()}
    # Every call has one log; those before the measured ones have left rows, too.
    logs = cost["call_logs, rows a call"]
    cost |= {f"{each}, rows a call": cost[f"{each}, rows a call"] / logs for each in STORED}
    call = _call(cost)
    print(_costs(cost), "\n")
    print(table(["a call", "arithmetic", "figure"], call["rows"]), "\n")
    if "claims" in results:
        for name, each in results["claims"]["ways"].items():
            if "claim_ms" in each:
                most = 1000 / each["claim_ms"]["median"]
                print(f"gate, {name}: at most {most:,.0f} a second")
        print()
    needs = [_needs(call, cost, rate) for rate in RATES]
    heads = ["", *(f"{rate:,} a minute" for rate in RATES)]
    print(table(heads, [[name, *(each[name] for each in needs)] for name in needs[0]]), "\n")
    most = SERVER_CORES * BUSY / call["database"] * 1000
    print(f"{SERVER_CORES} cores of a database at {BUSY:.0%}: {most:,.0f} calls a second, "
          f"{most * 60:,.0f} a minute")  # fmt: skip


def _costs(cost: dict[str, float]) -> str:
    sealed = f"{cost['audit entries sealed a second']:,.0f} a second"
    rows = [
        ["a dial: claim, ledger, SDK over HTTP, answer", "a runner", _ms(cost["dial, runner ms"])],
        ["the same", "PostgreSQL", _ms(cost["dial, database ms"])],
        ["a webhook", "a web process", _ms(cost["webhook, web process ms"])],
        ["the same", "PostgreSQL", _ms(cost["webhook, database ms"])],
        ["nothing due: a runner, each second", "a runner", _ms(cost["idle runner, ms a second"])],
        ["the same", "PostgreSQL", _ms(cost["idle runner's database, ms a second"])],
        *[
            [f"a row of `{table}`, with its indexes", "disk",
             f"{cost[f'{table}, bytes']:,.0f} bytes ({cost[f'{table}, bytes when compacted']:,.0f} "
             f"compacted)"]
            for table in STORED
        ],
        ["entries of the audit are sealed", "one process at a time", sealed],
    ]  # fmt: skip
    return table(["what", "whose", "run"], rows)


def _call(cost: dict[str, float]) -> dict[str, Any]:
    dial, webhook = cost["dial, runner ms"], cost["webhook, web process ms"]
    dial_database, webhook_database = cost["dial, database ms"], cost["webhook, database ms"]
    web, database = WEBHOOKS * webhook, dial_database + WEBHOOKS * webhook_database
    stored = sum(cost[f"{each}, rows a call"] * cost[f"{each}, bytes"] for each in STORED)
    compact = sum(
        cost[f"{each}, rows a call"] * cost[f"{each}, bytes when compacted"] for each in STORED
    )
    rows_each = ", ".join(f"{each} {cost[f'{each}, rows a call']:.1f}" for each in STORED)
    rows = [
        ["runner", "a dial", _ms(dial)],
        ["web process", f"{WEBHOOKS} x {webhook:.2f}", _ms(web)],
        ["PostgreSQL", f"{dial_database:.2f} + {WEBHOOKS} x {webhook_database:.2f}", _ms(database)],
        ["disk", f"rows a call: {rows_each}", f"{stored:,.0f} bytes ({compact:,.0f} compacted)"],
    ]
    return {
        "runner": dial,
        "web": web,
        "database": database,
        "bytes": stored,
        "compact": compact,
        "audit": cost["audit_entries, rows a call"],
        "rows": rows,
    }


def _needs(call: dict[str, Any], cost: dict[str, float], a_minute: int) -> dict[str, str]:
    rate = a_minute / 60
    cores = {who: rate * call[who] / 1000 / BUSY for who in ("runner", "web", "database")}
    runners, webs = (max(2, math.ceil(cores[who])) for who in ("runner", "web"))
    connections = runners * RUNNER_CONNECTIONS + webs * WEB_CONNECTIONS
    entries = rate * call["audit"]
    return {
        "calls a second": f"{rate:,.1f}",
        "runners, of one core each": f"{rate:,.1f} x {call['runner']:.2f} ms / {BUSY:.0%} = "
        f"{_cores(cores['runner'])}: {runners}",
        "web processes, for webhooks alone": f"{rate:,.1f} x {call['web']:.1f} ms / {BUSY:.0%} = "
        f"{_cores(cores['web'])}: {webs}",
        "PostgreSQL": f"{rate:,.1f} x {call['database']:.1f} ms / {BUSY:.0%} = "
        f"{_cores(cores['database'])}",
        "connections, at most": f"{runners} x {RUNNER_CONNECTIONS} + {webs} x {WEB_CONNECTIONS} = "
        f"{connections:,}",
        "calls a day, if it went on": f"{a_minute * 1440:,}",
        "disk a day": f"{a_minute * 1440 * call['bytes'] / 1e9:,.0f} GB "
        f"({a_minute * 1440 * call['compact'] / 1e9:,.0f} compacted)",
        "audit entries a second": f"{entries:,.0f} of {cost['audit entries sealed a second']:,.0f} "
        "that one process seals",
    }


def _cores(figure: float) -> str:
    return f"{figure:.2f} cores" if figure < 1 else f"{figure:.1f} cores"


def _ms(figure: float) -> str:
    return f"{figure:.2f} ms"


if __name__ == "__main__":
    main(sys.argv[1:])
