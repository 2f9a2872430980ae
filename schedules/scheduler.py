"""APScheduler's scheduler, stopping in good order."""

from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_STOPPED
from apscheduler.triggers.base import BaseTrigger
from django.db import connection


class CallScheduler(BackgroundScheduler):
    """Begins nothing once it has been told to stop.

    The parent looks for due jobs once more after its executors have been shut down: it would
    claim calls that nobody dials."""

    def _main_loop(self) -> None:
        try:
            super()._main_loop()
        finally:
            connection.close()  # of this thread

    def _process_jobs(self) -> float | None:
        with self._jobstores_lock:
            if self.state == STATE_STOPPED:
                return 0.0
            wait_seconds: float | None = super()._process_jobs()
            return wait_seconds


class OccurrenceTrigger(BaseTrigger):
    """Fires at the time of an armed occurrence, and again only when its claim has run out.

    A trigger with no second time would have the scheduler remove the job when it is submitted,
    which fails while it is being stopped."""

    def __init__(self, moment: datetime, lease: timedelta) -> None:
        self._moment = moment
        self._lease = lease

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The occurrence's time, or the end of the claim."""
        return self._moment if previous_fire_time is None else now + self._lease
