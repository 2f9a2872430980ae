"""A carrier in memory, for tests: it takes every call and keeps a list of them."""

from collections import deque
from datetime import datetime
from itertools import count
from typing import ClassVar

from django.utils import timezone

from tracking.carriers.base import CallNotAccepted, CallReport, CallRequest, Carrier
from tracking.states import CallStatus

_numbers = count(1)


class MemoryCarrier(Carrier):
    """Accepts what it is asked, unless `troubles` holds something to raise first."""

    placed: ClassVar[list[CallRequest]] = []
    troubles: ClassVar[deque[CallNotAccepted]] = deque()
    known: ClassVar[dict[str, CallReport]] = {}
    fetched: ClassVar[list[str]] = []
    stopped: ClassVar[list[tuple[str, bool]]] = []
    listed: ClassVar[list[CallReport] | None] = []

    @classmethod
    def forget(cls) -> None:
        """Begin anew."""
        cls.placed.clear()
        cls.troubles.clear()
        cls.known.clear()
        cls.fetched.clear()
        cls.stopped.clear()
        cls.listed = []

    def place_call(self, request: CallRequest) -> CallReport:
        """Take the call."""
        self.placed.append(request)
        if self.troubles:
            raise self.troubles.popleft()
        return CallReport(
            call_id=f"CA{next(_numbers):032x}",
            status=CallStatus.QUEUED,
            at=timezone.now(),
            attempt_id=request.attempt_id,
        )

    def fetch_call(self, call_id: str) -> CallReport | None:
        """Note it, and tell what a test has put into `known`."""
        self.fetched.append(call_id)
        return self.known.get(call_id)

    def find_calls(self, to: str, *, since: datetime, until: datetime) -> list[CallReport] | None:
        """What a test has put into `listed` of that number and time."""
        if self.listed is None:
            return None
        return [each for each in self.listed if each.phone == to and since <= each.at <= until]

    def calls_since(self, moment: datetime) -> list[CallReport] | None:
        """What a test has put into `listed`, of that time."""
        if self.listed is None:
            return None
        return [each for each in self.listed if (each.made_at or each.at) >= moment]

    def stop_call(self, call_id: str, *, hang_up: bool) -> CallReport | None:
        """Note it, and tell what a test has put into `known`."""
        self.stopped.append((call_id, hang_up))
        return self.known.get(call_id)
