"""Where calls are dialled: APScheduler's executors, which tell how many places are free."""

from typing import Any, ClassVar

from apscheduler.executors.base import BaseExecutor
from apscheduler.executors.pool import ThreadPoolExecutor


class Places(BaseExecutor):
    """An executor that wakes the scheduler when places are free that it has waited for.

    Not for each single one: calls that are claimed together are written down together."""

    ALIAS: ClassVar[str] = "calls"

    is_waited_for = False
    is_queue: ClassVar[bool] = False
    """Whether a job may wait after it has been submitted, until somebody takes it."""

    def places(self) -> int:
        """How many jobs there can be in hand at the same time."""
        raise NotImplementedError

    def trouble(self) -> str | None:
        """Why no job can begin whatever is free, in words; None where nothing is in the way."""
        return None

    def free_places(self) -> int:
        """How many jobs can begin at once."""
        with self._lock:
            return self.places() - sum(self._instances.values())

    def _run_job_success(self, job_id: str, events: list[Any]) -> None:
        super()._run_job_success(job_id, events)
        self._wake()

    def _run_job_error(self, job_id: str, exc: BaseException, traceback: Any = None) -> None:
        super()._run_job_error(job_id, exc, traceback)
        self._wake()

    def enough_places(self) -> int:
        """So many that are free again are worth a claim, where all were taken."""
        return max(1, self.places() // 2)

    def _wake(self) -> None:
        if self.is_waited_for and self.free_places() >= self.enough_places():
            self.is_waited_for = False
            self._scheduler.wakeup()


class CallExecutor(Places, ThreadPoolExecutor):
    """A thread pool in the runner itself."""

    def __init__(self, places: int) -> None:
        super().__init__(places)
        self._places = places

    def places(self) -> int:
        """As many as it has threads."""
        return self._places

    def enough_places(self) -> int:
        """The more calls are claimed together, the less each of them costs; the last ones in hand
        are being dialled meanwhile (docs/decisions/0024)."""
        return max(1, self._places * 3 // 4)
