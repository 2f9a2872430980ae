"""What is measured, one file each; `MEASURES` is the order of a whole run."""

from collections.abc import Callable
from typing import Any

from bench.measures import drain, lateness, stats, waiting, waking, web, webhooks
from bench.trial import Bench

MEASURES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "drain": drain.measure,
    "lateness": lateness.measure,
    "waiting": waiting.measure,
    "waking": waking.measure,
    "web": web.measure,
    "webhooks": webhooks.measure,
    "stats": stats.measure,
}
