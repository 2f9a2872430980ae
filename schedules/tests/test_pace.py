"""The pace of dialling."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from schedules.pace import Pace

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_calls_are_spaced_evenly():
    clock = Clock()
    pace = Pace(4, clock=clock)
    begun = []

    for _ in range(200):
        if pace.free():
            pace.take(1)
            begun.append(clock.seconds)
        clock.seconds += 0.0625

    spacings = [later - earlier for earlier, later in pairwise(begun)]
    assert set(spacings) == {0.25}
    assert len(begun) == 50


def test_what_was_not_used_is_not_saved_up():
    clock = Clock()
    pace = Pace(1, clock=clock)
    clock.seconds += 3600

    assert pace.free() == 1
    pace.take(1)
    assert pace.free() == 0


def test_it_says_when_the_next_call_may_begin():
    clock = Clock()
    pace = Pace(2, clock=clock)
    pace.take(1)

    assert pace.next_moment(NOON) == NOON + timedelta(seconds=0.5)


def test_zero_is_unlimited():
    pace = Pace(0)
    pace.take(1000)

    assert pace.free() > 1000
    assert pace.next_moment(NOON) == NOON
