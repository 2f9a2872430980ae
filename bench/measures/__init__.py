"""What is measured, one file each; `MEASURES` is the order of a whole run."""

from collections.abc import Callable
from typing import Any

from bench.measures import (
    claims,
    costs,
    day,
    drain,
    lateness,
    runners,
    stats,
    waiting,
    waking,
    web,
    webhooks,
)
from bench.trial import Bench

MEASURES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "drain": drain.measure,
    "lateness": lateness.measure,
    "runners": runners.measure,
    "claims": claims.measure,
    "costs": costs.measure,
    "waiting": waiting.measure,
    "waking": waking.measure,
    "web": web.measure,
    "webhooks": webhooks.measure,
    "stats": stats.measure,
    "day": day.measure,
}
# Takes so long that it is run only where it is named.
ON_REQUEST = {"day"}
