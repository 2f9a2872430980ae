"""The few threads of a runner that write to the ledger.

The many that wait for the carrier hold no connection to the database: it has fewer of them to give
than a runner has calls in hand.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from polaris.database import renew_connection

Result = TypeVar("Result")

_THREADS = 4
_pools: list[ThreadPoolExecutor] = []


def start() -> None:
    """From now on this process writes in threads of its own; once is enough."""
    if not _pools:
        _pools.append(ThreadPoolExecutor(_THREADS, thread_name_prefix="ledger"))


def write(job: Callable[[], Result]) -> Result:
    """Do `job` in one of those threads, or here where none were started; returns what it returns
    and raises what it raises."""
    if not _pools:
        return job()
    return _pools[0].submit(partial(_on_a_good_connection, job)).result()


def _on_a_good_connection(job: Callable[[], Result]) -> Result:
    renew_connection()
    return job()
