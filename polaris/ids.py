"""Our own string ids: a word that says what it names, then a time-sortable body."""

import secrets
import time

# Crockford's base 32: no I, L, O or U, so that an id can be read out on the phone.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_LENGTH = 26

ID_MAX_LENGTH = 40


def new_id(kind: str) -> str:
    """A fresh id such as `schedule_01k…`: ULID's layout (48 bits of milliseconds, 80 random)."""
    number = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return f"{kind}_{_encode(number)}"


def _encode(number: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
