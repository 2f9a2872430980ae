"""What is measured, one file each; `MEASURES` is the order of a whole run."""

from collections.abc import Callable
from typing import Any

from bench.measures import drain
from bench.trial import Bench

MEASURES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "drain": drain.measure,
}
