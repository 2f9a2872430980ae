"""When is an occurrence tried again? A client's `retry_policy` becomes a RetryPolicy.

The table for users is in docs/time.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, TypeGuard

OUTCOMES = ("busy", "no_answer", "failed", "machine")
FEWEST_ATTEMPTS, MOST_ATTEMPTS = 2, 10
LONGEST_DELAY = 86_400  # seconds


class InvalidRetryPolicy(ValueError):
    """A retry_policy that cannot be followed: `field` names the key, `issue` says why."""

    def __init__(self, key: str | None, issue: str) -> None:
        self.field = f"retry_policy.{key}" if key else "retry_policy"
        self.issue = issue
        super().__init__(f"{self.field}: {issue}")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """On which outcomes an occurrence is tried again, how often, and how long after.

    `attempts` counts all of one occurrence, the first included; the last delay repeats."""

    on: frozenset[str]
    attempts: int
    delays: tuple[timedelta, ...]

    def delay_after(self, attempt: int) -> timedelta | None:
        """How long after the end of that attempt the next one is due; None where none is left."""
        if attempt >= self.attempts:
            return None
        return self.delays[min(attempt, len(self.delays)) - 1]


def parse_retry_policy(raw: object) -> RetryPolicy | None:
    """The policy of a retry_policy; None for null and {}. Raises InvalidRetryPolicy."""
    config = normalise_retry_policy(raw)
    if config is None:
        return None
    return RetryPolicy(
        on=frozenset(config["on"]),
        attempts=config["attempts"],
        delays=tuple(timedelta(seconds=seconds) for seconds in config["delays"]),
    )


def normalise_retry_policy(raw: object) -> dict[str, Any] | None:
    """The retry_policy as it is stored: every key, in a fixed order; None for null and {}.

    Raises InvalidRetryPolicy."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise InvalidRetryPolicy(None, "Must be an object or null.")
    for key in raw:
        if key not in READERS:
            raise _unknown_key(key)
    given = {key: read(key, raw[key]) for key, read in READERS.items() if raw.get(key) is not None}
    if not given:
        return None
    for key in READERS:
        if key not in given:
            raise InvalidRetryPolicy(key, f"Required: {_NEEDED[key]}.")
    most = given["attempts"] - 1
    if len(given["delays"]) > most:
        raise InvalidRetryPolicy(
            "delays", f"Has more than {most}, one between each of {most + 1} attempts."
        )
    return given


def _unknown_key(key: object) -> InvalidRetryPolicy:
    # A lone surrogate is legal in JSON's escapes, but no answer could be written with it.
    name = str(key)[:60].encode("utf-8", "backslashreplace").decode() or '""'
    close = get_close_matches(name, READERS, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return InvalidRetryPolicy(name, f"Unknown key{hint} Known keys: {_listed(READERS)}.")


def _read_on(key: str, value: object) -> list[str]:
    """The outcomes in their own order; `no-answer` is Twilio's spelling."""
    if not isinstance(value, list) or not value:
        raise InvalidRetryPolicy(key, f"Must be a list of at least one of {_listed(OUTCOMES)}.")
    names = [each.replace("-", "_") if isinstance(each, str) else None for each in value]
    if not set(names) <= set(OUTCOMES):
        raise InvalidRetryPolicy(key, f"Each must be one of {_listed(OUTCOMES)}.")
    for name in OUTCOMES:
        if names.count(name) > 1:
            raise InvalidRetryPolicy(key, f"Names {name} more than once.")
    return [name for name in OUTCOMES if name in names]


def _read_attempts(key: str, value: object) -> int:
    if not _is_whole_number(value, FEWEST_ATTEMPTS, MOST_ATTEMPTS):
        raise InvalidRetryPolicy(
            key,
            f"Must be a whole number from {FEWEST_ATTEMPTS} to {MOST_ATTEMPTS}, the first attempt "
            "included.",
        )
    return value


def _read_delays(key: str, value: object) -> list[int]:
    if not isinstance(value, list) or not value:
        raise InvalidRetryPolicy(key, "Must be a list of seconds, such as [60, 300].")
    if not all(_is_whole_number(each, 1, LONGEST_DELAY) for each in value):
        raise InvalidRetryPolicy(
            key, f"Each must be a whole number of seconds from 1 to {LONGEST_DELAY}."
        )
    return list(value)


def _is_whole_number(value: object, least: int, most: int) -> TypeGuard[int]:
    # To Python true is 1, to a client it is a slip.
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


READERS: dict[str, Callable[[str, object], Any]] = {
    "on": _read_on,
    "attempts": _read_attempts,
    "delays": _read_delays,
}
_NEEDED = {
    "on": f"some of {_listed(OUTCOMES)}",
    "attempts": "how often an occurrence is tried, the first time included",
    "delays": "seconds to wait, such as [60, 300]",
}
