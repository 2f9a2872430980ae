"""Does together what many threads ask for at the same time.

A group commit: whoever comes first does it for all who have come meanwhile; the others wait until
theirs is done.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Entry(Generic[Item, Result]):
    """What one thread asks for, and what came of it."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Result | None = None
        self.error: Exception | None = None
        self.leads = False
        self.turn = threading.Event()
        """Comes when it is done, or is to lead the next batch."""


class Batches(Generic[Item, Result]):
    """Takes items from any thread. `work` gives each entry of a batch its result or its error."""

    AT_ONCE = 64

    def __init__(self, work: Callable[[list[Entry[Item, Result]]], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: list[Entry[Item, Result]] = []
        self._is_working = False

    def do(self, item: Item) -> Result | None:
        """Returns when it is done, with its result. Raises what the work raised."""
        entry: Entry[Item, Result] = Entry(item)
        with self._lock:
            self._waiting.append(entry)
            entry.leads, self._is_working = not self._is_working, True
        if not entry.leads:
            entry.turn.wait()
        if entry.leads:
            self._lead()
        if entry.error:
            raise entry.error
        return entry.result

    def _gather(self) -> list[Entry[Item, Result]]:
        """What waits."""
        with self._lock:
            return self._take()

    def _take(self) -> list[Entry[Item, Result]]:
        batch, self._waiting = self._waiting[: self.AT_ONCE], self._waiting[self.AT_ONCE :]
        return batch

    def _lead(self) -> None:
        batch = self._gather()
        try:
            self._work(batch)
        except Exception as error:
            for entry in batch:
                entry.error = error
        finally:
            for entry in batch:
                entry.leads = False
                entry.turn.set()
            self._hand_over()

    def _hand_over(self) -> None:
        """Who has come while we worked leads the next batch."""
        with self._lock:
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].turn.set()
            else:
                self._is_working = False
