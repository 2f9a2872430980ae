"""The pace of dialling: so many calls a second, evenly, and no burst after a pause."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta


class Pace:
    """Lets at most `per_second` calls begin a second; 0 is unlimited.

    One call's time after another: what was not used is not saved up."""

    _UNLIMITED = 1_000_000

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._spacing = 1 / per_second if per_second else 0.0
        self._clock = clock
        self._next = clock()

    def free(self) -> int:
        """How many calls may begin now."""
        if not self._spacing:
            return self._UNLIMITED
        return 1 if self._clock() >= self._next else 0

    def take(self, calls: int) -> None:
        """That many calls have begun."""
        if self._spacing and calls:
            self._next = max(self._next, self._clock()) + calls * self._spacing

    def next_moment(self, now: datetime) -> datetime:
        """When the next call may begin, on the clock that says `now`."""
        return now + timedelta(seconds=max(0.0, self._next - self._clock()))
