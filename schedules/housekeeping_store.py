"""django-apscheduler's store for the few housekeeping jobs, whose history the admin shows."""

from datetime import datetime
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


class HousekeepingStore(DjangoJobStore):
    """Hears the events of its own jobs only, and gives each due job to one runner."""

    ALIAS = "housekeeping"

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """What is due and what no other runner was quicker to take."""
        renew_connection()
        return [job for job in super().get_due_jobs(now) if self._take(job, now)]

    def register_event_listeners(self) -> None:
        """The parent would write a row for every call of the scheduler, too."""
        heard = {
            EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES: self.handle_submission_event,
            EVENT_JOB_EXECUTED: self.handle_execution_event,
            EVENT_JOB_ERROR | EVENT_JOB_MISSED: self.handle_error_event,
        }
        for mask, handler in heard.items():
            self._scheduler.add_listener(self._own(handler), mask)

    def _own(self, handler: Any) -> Any:
        def hear(event: Any) -> None:
            if event.jobstore == self._alias:
                renew_connection()
                handler(event)
                renew_connection()

        return hear

    def _take(self, job: Job, now: datetime) -> bool:
        """Compare-and-set on the job's time: of several runners one moves it on."""
        following = job.trigger.get_next_fire_time(job.next_run_time, now)
        row = DjangoJob.objects.filter(pk=job.id, next_run_time=job.next_run_time)
        return bool(row.update(next_run_time=following))
