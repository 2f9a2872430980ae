"""A process that settles claims: started anew, it sets Django up before it knows any model."""

from multiprocessing import Queue
from typing import Any

import django


def settle_all(work: "Queue[Any]", done: "Queue[Any]", seed: int) -> None:
    """Settle the batches of `work` until None comes; tells what was done, or what failed."""
    try:
        django.setup()
        from bench.day.settling import settle  # noqa: PLC0415 (knows models)

        while (batch := work.get()) is not None:
            done.put(settle(batch, seed))
    except Exception as error:
        done.put(f"{type(error).__name__}: {error}")
