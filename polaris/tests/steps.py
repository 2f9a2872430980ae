"""How much work something is, in calls of functions, which a busy machine does not change."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TooMuchWorkError(AssertionError):
    """More calls were made than were allowed."""


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Ends what is done inside once it has made more than so many calls of functions."""
    made, before = 0, sys.getprofile()

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal made
        made += event in {"call", "c_call"}
        if made > calls:
            sys.setprofile(before)
            raise TooMuchWorkError(f"More than {calls} calls were made.")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
