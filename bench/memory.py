"""The memory of processes over a run."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

from bench.processes import Child

_EVERY = 0.5  # seconds
_MEBIBYTE = 1024 * 1024


class Memory:
    """Samples of what some processes hold together."""

    def __init__(self) -> None:
        self.samples: list[int] = []

    def thirds(self) -> tuple[float, float]:
        """The mean over the first third of the time and over the last, in MiB."""
        third = max(1, len(self.samples) // 3)
        first, last = self.samples[:third], self.samples[-third:]
        return fmean(first) / _MEBIBYTE, fmean(last) / _MEBIBYTE


@contextmanager
def watched(children: Sequence[Child]) -> Iterator[Memory]:
    """Sample the resident memory of `children` until the block ends."""
    memory, over = Memory(), threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY):
            memory.samples.append(sum(child.resident() for child in children))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        over.set()
        watcher.join()
