"""Where calls are dialled: APScheduler's thread pool, which tells how many places are free."""

from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor


class CallExecutor(ThreadPoolExecutor):
    """A thread pool that wakes the scheduler when places are free that it has waited for.

    Not for each single one: calls that are claimed together are written down together."""

    ALIAS = "calls"

    def __init__(self, places: int) -> None:
        super().__init__(places)
        self._places = places
        self._worth_a_look = max(1, places // 2)
        self.is_waited_for = False

    def free_places(self) -> int:
        """How many jobs can begin at once."""
        with self._lock:
            return self._places - sum(self._instances.values())

    def _run_job_success(self, job_id: str, events: list[Any]) -> None:
        super()._run_job_success(job_id, events)
        self._wake()

    def _run_job_error(self, job_id: str, exc: BaseException, traceback: Any = None) -> None:
        super()._run_job_error(job_id, exc, traceback)
        self._wake()

    def _wake(self) -> None:
        if self.is_waited_for and self.free_places() >= self._worth_a_look:
            self.is_waited_for = False
            self._scheduler.wakeup()
