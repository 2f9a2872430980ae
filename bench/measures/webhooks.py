"""How many signed status callbacks a second does one web process take?"""

import http.client
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.figures import spread
from bench.polaris import Polaris
from bench.processes import HOME, end
from bench.trial import Bench, make_calls
from bench.webhook_client import CLIENTS, EVENTS

_CALLS = 250
_LEAD = 15  # seconds
_FILE = HOME / "var" / "bench" / "webhooks.sqlite3"


def measure(bench: Bench) -> dict[str, Any]:
    """The rates on both databases, in interleaved rounds; every webhook is of a known call."""
    rounds: dict[str, list[dict[str, Any]]] = {"SQLite": [], "PostgreSQL": []}
    for turn in range(bench.rounds):
        for database, made in rounds.items():
            made.append(_one_round(bench, _fresh(bench, database)))
            print(f"  round {turn + 1}, {database}: {made[-1]['rate']:.0f}/s", flush=True)
    _forget_file()
    return {
        "clients": CLIENTS,
        "webhooks": _CALLS * len(EVENTS),
        "databases": {
            name: {
                "rate": spread([one["rate"] for one in made]),
                "rates": [one["rate"] for one in made],
                "not_204": sum(one["not_204"] for one in made),
                "not_completed": sum(one["not_completed"] for one in made),
            }
            for name, made in rounds.items()
        },
    }


def _fresh(bench: Bench, database: str) -> str:
    if database == "PostgreSQL":
        return bench.server.create("webhooks")
    _forget_file()
    return f"sqlite:///{_FILE}"


def _forget_file() -> None:
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{_FILE}{ending}").unlink()


def _one_round(bench: Bench, database_url: str) -> dict[str, Any]:
    """Have real calls dialled first, so that the webhooks are of known attempts."""
    polaris = Polaris(bench.processes, carrier_url=bench.judge.url, database_url=database_url)
    polaris.migrate()
    token = polaris.rows("users", {"operator": True})["operator"]
    _dial(bench, polaris)
    calls = [(a.phone, a.call_id, a.callback) for a in bench.judge.arrivals()]
    try:
        polaris.start_web()
        # The first calls' webhooks warm the process up.
        _post(bench, calls[:-_CALLS])
        told = _post(bench, calls[-_CALLS:])
        completed = _completed(polaris.web_port, token)
    finally:
        end(polaris.children)
    posted = sum(told["answers"].values())
    return {
        "rate": posted / told["seconds"],
        "not_204": posted - told["answers"].get("204", 0),
        "not_completed": len(calls) - completed,
    }


def _dial(bench: Bench, polaris: Polaris) -> None:
    bench.judge.reset()
    runners = polaris.start_runners(1)
    try:
        schedule = lambda calls: polaris.rows("calls", calls)  # noqa: E731
        make_calls(bench.judge, schedule, [0.0] * _CALLS, _LEAD)
    finally:
        end(runners)  # in good order: every answer is written down


def _post(bench: Bench, calls: list[tuple[str, str, str]]) -> dict[str, Any]:
    said = bench.processes.run("webhook-client", ["-m", "bench.webhook_client"], calls)
    return json.loads(said)


def _completed(port: int, token: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}"}
    connection.request("GET", "/schedule/tracking/stats", headers=headers)
    return json.loads(connection.getresponse().read())["completed_calls"]
