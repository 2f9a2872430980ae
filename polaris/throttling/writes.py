"""How often somebody may write: by account and by address, right across all processes.

A process leases a part of what a window allows and counts it down in memory, so that a request
asks the database only now and then; what it does not use lapses with the window."""

import threading
import time
from typing import Any

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from polaris.access import network_of
from polaris.throttling.counting import lease
from polaris.throttling.limits import Limit

_MOST_SHARES = 10_000


class WriteThrottle(BaseThrottle):
    """THROTTLE_WRITES. Who has not signed in writes nothing, and Twilio is not held up."""

    _wait = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        """Whether a write is within what its account and its address may do."""
        limit: Limit | None = settings.THROTTLE_WRITES
        if limit is None or request.method in SAFE_METHODS:
            return True
        self._wait = max((shares.take(key, limit) for key in self.keys(request)), default=0.0)
        return not self._wait

    def keys(self, request: Request) -> list[str]:
        """Whose writes this one counts among."""
        if not request.user.is_authenticated:
            return []
        return [f"writes/user/{request.user.pk}", _of_address(request)]

    def wait(self) -> float:
        """Seconds."""
        return self._wait


class AddressThrottle(WriteThrottle):
    """THROTTLE_WRITES by address alone: for who sends a token in the body, good or not."""

    def keys(self, request: Request) -> list[str]:
        return [_of_address(request)]


def _of_address(request: Request) -> str:
    return f"writes/address/{network_of(request)}"


class _Share:
    """What this process may still do in a window, of one key."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.left = 0
        self.is_spent = False
        self.began = self.end = 0.0

    def take(self, key: str, limit: Limit) -> float:
        now = time.time()
        is_current = self.began <= now < self.end
        if not is_current or not (self.left or self.is_spent):
            self.left, seconds = lease(key, limit)
            self.is_spent = not self.left
            self.began, self.end = now, now + seconds
        if not self.left:
            return max(self.end - now, 0.001)
        self.left -= 1
        return 0.0

    @property
    def is_over(self) -> bool:
        return time.time() >= self.end


class Shares:
    """The shares that this process has leased."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shares: dict[str, _Share] = {}

    def take(self, key: str, limit: Limit) -> float:
        """Count one write. Returns 0, or the seconds to wait."""
        with self._lock:
            if len(self._shares) > _MOST_SHARES:
                self._shares = {k: each for k, each in self._shares.items() if not each.is_over}
            share = self._shares.setdefault(key, _Share())
        with share.lock:
            return share.take(key, limit)

    def forget(self) -> None:
        """Give nothing back, and lease anew."""
        with self._lock:
            self._shares.clear()


shares = Shares()
