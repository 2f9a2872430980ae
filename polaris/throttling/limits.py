"""How often is often enough."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in so many seconds."""

    number: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Patience:
    """So many are free; then each waits, a second first and twice as long with every further one.

    `longest` is in seconds; after `seconds` the count begins anew."""

    free: int
    longest: int
    seconds: int = 3600

    def wait_after(self, number: int) -> float:
        """Seconds from the latest of `number` to the next."""
        beyond = number - self.free
        return 0.0 if beyond < 0 else float(min(self.longest, 2 ** min(beyond, 30)))
