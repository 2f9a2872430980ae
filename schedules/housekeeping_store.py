"""django-apscheduler's store for the few housekeeping jobs, whose history the admin shows."""

from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_SUBMITTED,
)
from apscheduler.job import Job
from django_apscheduler.jobstores import DjangoJobStore
from django_apscheduler.models import DjangoJob

from polaris.database import renew_connection
from polaris.masking import mask_numbers

_SHORTEST_WAIT = timedelta(milliseconds=250)
_LONGEST_WAIT = timedelta(seconds=5)


class HousekeepingStore(DjangoJobStore):
    """Hears the events of its own jobs only, and gives each due job to one runner."""

    ALIAS = "housekeeping"

    _look_again: datetime | None = None

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """What is due and what no other runner was quicker to take."""
        if self._look_again and now < self._look_again:
            return []  # the scheduler wakes for every call
        self._look_again = None
        renew_connection()
        return [job for job in super().get_due_jobs(now) if self._take(job, now)]

    def get_next_run_time(self) -> datetime | None:
        """Never at once: what another runner is taking is looked for again a little later."""
        now = datetime.now(UTC)
        if self._look_again is None or self._look_again <= now:
            moment: datetime | None = super().get_next_run_time()
            latest = now + _LONGEST_WAIT
            self._look_again = min(max(moment or latest, now + _SHORTEST_WAIT), latest)
        return self._look_again

    def add_job(self, job: Job) -> None:
        """A new one may be due before the others."""
        self._look_again = None
        super().add_job(job)

    def update_job(self, job: Job) -> None:
        """As add_job."""
        self._look_again = None
        super().update_job(job)

    def register_event_listeners(self) -> None:
        """The parent would write a row for every call of the scheduler, too."""
        heard = {
            EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES: self.handle_submission_event,
            EVENT_JOB_EXECUTED: self.handle_execution_event,
            EVENT_JOB_ERROR | EVENT_JOB_MISSED: self._keep_error,
        }
        for mask, handler in heard.items():
            self._scheduler.add_listener(self._own(handler), mask)

    def _keep_error(self, event: Any) -> None:
        """What an exception says is kept, and a database may say what stands in a row."""
        kept = copy(event)
        if kept.exception:
            kept.exception = mask_numbers(str(kept.exception))
            kept.traceback = mask_numbers(str(kept.traceback))
        self.handle_error_event(kept)

    def _own(self, handler: Any) -> Any:
        def hear(event: Any) -> None:
            if event.jobstore == self._alias:
                renew_connection()
                handler(event)
                renew_connection()

        return hear

    def _take(self, job: Job, now: datetime) -> bool:
        """Compare-and-set on the row's time: of several runners one moves it on.

        The time within the pickled job lags behind where a runner died between the two writes."""
        row = DjangoJob.objects.filter(pk=job.id)
        planned = row.values_list("next_run_time", flat=True).first()
        if planned is None or planned > now:
            return False
        job.next_run_time = planned
        following = job.trigger.get_next_fire_time(planned, now)
        return bool(row.filter(next_run_time=planned).update(next_run_time=following))
