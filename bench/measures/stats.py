"""The statistics over a million logs, by HTTP: cold and warm, of everything and of a little."""

import http.client
import json
import time
from typing import Any

from bench.figures import percentile
from bench.polaris import Polaris
from bench.processes import Failed, end
from bench.trial import Bench

LOGS = 1_000_000
_OWNERS = 1_000
_WARM_REQUESTS = 20
_PATH = "/schedule/tracking/stats"


def measure(bench: Bench) -> dict[str, Any]:
    """Seconds that the answers took; the asker owns all logs, a thousandth, or may see all."""
    cases = {
        1: {"owner": f"the owner of all {LOGS:,}"},
        _OWNERS: {"owner": f"one of {_OWNERS:,} owners", "operator": "staff, who see all"},
    }
    found: dict[str, Any] = {}
    for owners, askers in cases.items():
        polaris = Polaris(
            bench.processes,
            carrier_url=bench.judge.url,
            database_url=bench.server.create(f"stats_{owners}"),
        )
        polaris.migrate()
        tokens = polaris.rows("users", {"owner": False, "operator": True})
        polaris.rows("logs", {"logs": LOGS, "owners": owners})
        for name, title in askers.items():
            found[title] = _times(polaris, tokens[name])
            print(f"  {title}: {found[title]}", flush=True)
        bench.server.drop(polaris.database_url)
    return {"logs": LOGS, "askers": found}


def _times(polaris: Polaris, token: str) -> dict[str, float]:
    """By a web process that has just been started, whose first answer is the cold one."""
    web = polaris.start_web()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", polaris.web_port, timeout=120)
        cold, counted = _ask(connection, token)
        warm = [_ask(connection, token)[0] for _ in range(_WARM_REQUESTS)]
    finally:
        end([web])
    return {
        "calls_counted": counted,
        "cold": cold,
        "warm_p50": percentile(warm, 50),
        "warm_max": max(warm),
    }


def _ask(connection: http.client.HTTPConnection, token: str) -> tuple[float, int]:
    """Seconds until the answer, and how many calls it counts. Raises Failed."""
    begun = time.perf_counter()
    connection.request("GET", _PATH, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    said = answer.read()
    took = time.perf_counter() - begun
    if answer.status != http.HTTPStatus.OK:
        raise Failed(f"{_PATH} answered {answer.status}: {said[:500]!r}")
    return took, json.loads(said)["total_calls"]
