"""Writes the carrier's answers down: those that arrive together in one transaction.

A group commit: whoever comes first writes for all who have come meanwhile; the others wait until
theirs is committed. While more calls are being asked for it waits a moment for their answers.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.db import OperationalError

from polaris.database import renew_connection
from tracking import ledger
from tracking.ledger import Accepted
from tracking.refusals import open_the_gate

logger = logging.getLogger(__name__)

# Seconds between the attempts to write an answer, together well within a lease.
_WAITS = (0.1, 0.3, 1, 2, 4, 8)


class _Entry:
    def __init__(self, accepted: Accepted) -> None:
        self.accepted = accepted
        self.is_done = False
        self.error: Exception | None = None


class Recorder:
    """Takes answers from any thread."""

    LINGER_SECONDS = 0.01
    AT_ONCE = 64

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Entry] = []
        self._is_writing = False
        self._asking = 0

    def __enter__(self) -> None:
        """A call is being asked for: its answer is on the way."""
        with self._changed:
            self._asking += 1

    def __exit__(self, *_: object) -> None:
        """Its answer has come, or none will."""
        with self._changed:
            self._asking -= 1
            self._changed.notify_all()

    def record(self, accepted: Accepted) -> None:
        """Write an answer; returns when it is committed. Raises what its write raised."""
        entry = _Entry(accepted)
        with self._changed:
            self._waiting.append(entry)
            self._changed.notify_all()
            while self._is_writing and not entry.is_done:
                self._changed.wait()
            if not entry.is_done:
                self._is_writing = True
                self._linger()
                batch, self._waiting = self._waiting, []
        if not entry.is_done:
            self._write(batch)
        if entry.error:
            raise entry.error

    def _linger(self) -> None:
        ends = time.monotonic() + self.LINGER_SECONDS
        while self._asking and len(self._waiting) < self.AT_ONCE:
            left = ends - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _write(self, batch: list[_Entry]) -> None:
        error = None
        try:
            ledger.record_accepted([entry.accepted for entry in batch])
            open_the_gate()
        except Exception as failure:
            error = failure
        finally:
            with self._changed:
                for entry in batch:
                    entry.is_done, entry.error = True, error
                self._is_writing = False
                self._changed.notify_all()


def insist(write: Callable[[], None]) -> bool:
    """Write the carrier's answer down though the database fails for a while; says whether it did.

    The answer is known nowhere else: without it the call would be unknown."""
    for wait in _WAITS:
        try:
            write()
        except OperationalError:
            logger.warning("the carrier's answer could not be written; it is tried again")
            time.sleep(wait)
            renew_connection()
        else:
            return True
    return False
