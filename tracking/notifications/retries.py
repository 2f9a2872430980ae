"""When a message that was not delivered is tried again, and when it is given up."""

import random
from datetime import timedelta

# The wait after each failed attempt: eight attempts, the last about a day after the first.
WAITS = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=15),
)
ATTEMPTS = len(WAITS) + 1
# A wait is up to this share longer or shorter, so that no crowd meets a receiver that comes back.
JITTER = 0.1
# A receiver that asks for a longer pause than this is asked again after it all the same.
LONGEST_WAIT = timedelta(days=1)


def wait_after(attempts: int, *, asked_for: timedelta | None = None) -> timedelta | None:
    """How long to wait after so many failed attempts; None where that was the last one.

    `asked_for` is the pause that the receiver wishes: it may lengthen the wait, not shorten it."""
    if attempts >= ATTEMPTS:
        return None
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (guards nothing)
    wait = WAITS[attempts - 1] * spread
    return max(wait, min(asked_for, LONGEST_WAIT)) if asked_for else wait
