"""Writes the carrier's answers down: those that arrive together in one transaction.

While more calls are being asked for, who writes waits a moment for their answers.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from django.db import Error

from polaris.database import is_out_of_reach
from tracking import ledger
from tracking.batches import Batches, Entry
from tracking.ledger import Accepted
from tracking.refusals import open_the_gate
from tracking.writers import write

logger = logging.getLogger(__name__)

# Seconds between the attempts to write an answer, together well within a lease.
_WAITS = (0.1, 0.3, 1, 2, 4, 8)

_Entry = Entry[Accepted, None]


class Recorder(Batches[Accepted, None]):
    """Takes answers from any thread."""

    LINGER_SECONDS = 0.01

    def __init__(self) -> None:
        super().__init__(lambda batch: write(partial(_write_down, batch)))
        self._all_are_in = threading.Condition(self._lock)
        self._asking = 0

    def __enter__(self) -> None:
        """A call is being asked for: its answer is on the way."""
        with self._lock:
            self._asking += 1

    def __exit__(self, *_: object) -> None:
        """Its answer has come, or none will."""
        with self._lock:
            self._asking -= 1
            if not self._asking:
                self._all_are_in.notify_all()

    def record(self, accepted: Accepted) -> None:
        """Write an answer; returns when it is committed. Raises what its write raised."""
        self.do(accepted)

    def _gather(self) -> list[_Entry]:
        """What waits, and what comes in the moment that answers on the way are given."""
        ends = time.monotonic() + self.LINGER_SECONDS
        with self._lock:
            while self._asking and len(self._waiting) < self.AT_ONCE:
                left = ends - time.monotonic()
                if left <= 0 or not self._all_are_in.wait(left):
                    break
            return self._take()


def _write_down(batch: list[_Entry]) -> None:
    """One answer that cannot be written does not keep the others from it."""
    error = _attempt([entry.item for entry in batch])
    for entry in batch:
        alone = error and len(batch) > 1 and not is_out_of_reach(error)
        entry.error = _attempt([entry.item]) if alone else error
    if any(entry.error is None for entry in batch):
        open_the_gate()


def _attempt(batch: list[Accepted]) -> Exception | None:
    try:
        ledger.record_accepted(batch)
    except Exception as error:
        return error
    return None


def insist(attempt: Callable[[], None]) -> int:
    """Write the carrier's answer down though the database fails for a while; says at which attempt
    it was done, and 0 where it was not.

    The answer is known nowhere else: without it the call would be unknown."""
    for number, wait in enumerate(_WAITS, 1):
        try:
            attempt()
        except Error as error:
            if not is_out_of_reach(error):
                raise
            logger.warning("the carrier's answer could not be written; it is tried again")
            time.sleep(wait)
        else:
            return number
    return 0
