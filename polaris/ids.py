"""Our own string ids: a word that says what it names, then a time-sortable body."""

import secrets
import threading
import time
from datetime import datetime

# Crockford's base 32: no I, L, O or U, so that an id can be read out on the phone.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_LENGTH = 26
# Two letters at a time.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(5 * (_LENGTH - 2), -1, -10)

ID_MAX_LENGTH = 40

_in_order = threading.Lock()
_last = 0


def new_id(kind: str) -> str:
    """A fresh id such as `schedule_01k…`: ULID's layout (48 bits of milliseconds, 80 random)."""
    return f"{kind}_{_encode(_number())}"


def new_ids(kind: str, count: int) -> list[str]:
    """So many fresh ids at once, in order; those that this process makes in one millisecond stay in
    the order of the calls, too."""
    global _last  # noqa: PLW0603
    with _in_order:
        first = _number()
        if first >> _RANDOM_BITS == _last >> _RANDOM_BITS:
            first = _last + 1
        _last = first + count - 1
    return [f"{kind}_{_encode(first + place)}" for place in range(count)]


def earliest_id(kind: str, moment: datetime) -> str:
    """What sorts before every id of that kind that is made at `moment` or later."""
    return f"{kind}_{_encode(max(0, int(moment.timestamp() * 1000)) << _RANDOM_BITS)}"


def _number() -> int:
    return (time.time_ns() // 1_000_000 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)


def _encode(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
