"""APScheduler's scheduler: it outlives its database and stops in good order."""

import logging
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_STOPPED
from apscheduler.triggers.base import BaseTrigger
from django.db import connection

from polaris.database import in_one_line

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class CallScheduler(BackgroundScheduler):
    """Goes on when a store fails, and begins nothing once it has been told to stop.

    The parent looks for due jobs once more after its executors have been shut down: it would
    claim calls that nobody dials."""

    @property
    def is_alive(self) -> bool:
        """Whether its thread still looks for due calls."""
        return bool(self._thread and self._thread.is_alive())

    def _main_loop(self) -> None:
        try:
            super()._main_loop()
        finally:
            connection.close()  # of this thread

    def _process_jobs(self) -> float | None:
        with self._jobstores_lock:
            if self.state == STATE_STOPPED:
                return 0.0
            try:
                wait_seconds: float | None = super()._process_jobs()
            except Exception as error:
                # The parent guards one of its calls to the stores; any other would end the thread.
                logger.warning("looking for due calls failed: %s", in_one_line(error))
                return RETRY_SECONDS
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
