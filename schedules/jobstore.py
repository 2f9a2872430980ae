"""APScheduler's view of our rows: its job store over armed occurrences.

Rows are the truth and jobs are rebuilt from them, so nothing is pickled, every process sees what
another one has armed, and a job that has been submitted stays in its row until it is dealt with.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import QuerySet

from polaris.compiled import compiled_select
from polaris.database import renew_connection
from schedules import gate
from schedules.claims import LEAD, claim_due, give_back, too_late_since
from schedules.executor import Places
from schedules.models import ActiveSchedule
from schedules.scheduler import OccurrenceTrigger
from schedules.waking import Listener

# Nothing is looked for more often, whatever keeps a due row from being claimed.
SHORTEST_WAIT = timedelta(milliseconds=20)
# While all places are taken: the executor wakes us when enough of them are free, not for each.
LOOK_FOR_PLACES = timedelta(milliseconds=250)
# What is only written down is not urgent. Where calls are queued for others a companion of the
# runner does it (schedules.writing_down).
LOOK_BACK = timedelta(seconds=1)
_ALWAYS_EARLIER = datetime.max.replace(tzinfo=UTC)


class ArmedJobStore(BaseJobStore):
    """Jobs are armed occurrences; handing out due ones claims them for this runner."""

    def __init__(self, *, runner_id: str, executor: Places) -> None:
        super().__init__()
        self._runner_id = runner_id
        self._executor = executor
        self._look_again: datetime | None = None
        self._look_back_at = datetime.min.replace(tzinfo=UTC)
        self._next_look = _ALWAYS_EARLIER
        self._listener = Listener(self.hear)

    def start(self, scheduler: Any, alias: str) -> None:
        """From now on what other processes arm is heard of, where the database can tell."""
        super().start(scheduler, alias)
        self._listener.start()

    def hear(self, due: datetime) -> None:
        """Another process has armed a call: look, unless that is done before it is due anyway."""
        if due - LEAD < self._next_look:
            self._scheduler.wakeup()

    def get_due_jobs(self, now: datetime) -> list[Job]:
        """Claims what is due, or is so in a moment: no more than the executor has free places,
        nor than the gate admits."""
        self._next_look = _ALWAYS_EARLIER  # what is heard while we look is looked for once more
        renew_connection()
        limit = self._executor.free_places()
        self._executor.is_waited_for = False
        self._look_again = None
        if limit < 1:
            self._executor.is_waited_for = True
            return []
        looks_back = not self._executor.is_queue and (
            not now < self._look_back_at <= now + LOOK_BACK
        )
        claims = claim_due(
            runner_id=self._runner_id,
            moment=now,
            limit=limit,
            lease=settings.SCHEDULER_LEASE,
            are_queued=self._executor.is_queue,
            looks_back=looks_back,
        )
        if looks_back and len(claims) < limit:  # else there may be more
            self._look_back_at = now + LOOK_BACK
        self._executor.is_waited_for = len(claims) == limit
        self._look_again = claims.look_again
        # APScheduler submits what is due by its clock: a claim made ahead of time waits in its job.
        return [self._to_job(armed, run_at=now) for armed in claims]

    def get_next_run_time(self) -> datetime:
        """When to look again: just before the next due time, or at the next poll."""
        self._next_look = self._when_to_look(datetime.now(UTC))
        return self._next_look

    def _when_to_look(self, now: datetime) -> datetime:
        if self._executor.is_waited_for:
            return now + LOOK_FOR_PLACES
        due = first_execution(now)
        if due is None:
            return now + settings.SCHEDULER_POLL
        moment = due - LEAD
        if moment <= now:  # held back by the gate, or by another runner's lock
            # Whoever opens a closed gate wakes us.
            wait = settings.SCHEDULER_POLL if gate.was_closed() else SHORTEST_WAIT
            moment = max(self._look_again or now, now + wait)
        return min(moment, now + settings.SCHEDULER_POLL)

    def lookup_job(self, job_id: str) -> Job | None:
        """The job of that id, if it is armed."""
        armed = ActiveSchedule.objects.filter(job_id=job_id).select_related("schedule").first()
        return self._to_job(armed) if armed else None

    def get_all_jobs(self) -> list[Job]:
        """Everything that is armed, paused ones last."""
        rows = ActiveSchedule.objects.in_order().select_related("schedule")
        return [self._to_job(armed) for armed in rows.iterator(chunk_size=1000)]

    def add_job(self, job: Job) -> NoReturn:
        """Refused: a call is armed with its schedule, by schedules.services."""
        raise NotImplementedError("calls are scheduled through schedules.services")

    def update_job(self, job: Job) -> None:
        """Nothing: the row of a submitted job moves on when its occurrence is dealt with."""

    def remove_job(self, job_id: str) -> None:
        """Nothing: APScheduler drops a job when it is submitted, we when it is dealt with."""

    def remove_all_jobs(self) -> NoReturn:
        """Refused: schedules are cancelled one by one, through schedules.services."""
        raise NotImplementedError("schedules are cancelled through schedules.services")

    def shutdown(self) -> None:
        """Give back what was claimed and not begun."""
        self._listener.close()
        renew_connection()
        try:
            give_back(runner_id=self._runner_id)
        except DatabaseError:
            self._logger.warning("the database is away: what is held is free when its lease ends")
        connection.close()

    def _to_job(self, armed: ActiveSchedule, *, run_at: datetime | None = None) -> Job:
        job = Job.__new__(Job)
        job.__setstate__(self._state(armed) | ({"next_run_time": run_at} if run_at else {}))
        job._scheduler = self._scheduler
        job._jobstore_alias = self._alias
        return job

    def _state(self, armed: ActiveSchedule) -> dict[str, Any]:
        return {
            "id": armed.job_id,
            "name": f"call of {armed.schedule_id}",
            "func": settings.SCHEDULER_JOB,
            "trigger": OccurrenceTrigger(armed.occurrence, settings.SCHEDULER_LEASE),
            "executor": Places.ALIAS,
            "args": (armed.pk, armed.lease, _seconds(armed.begins_at)),
            "kwargs": {},
            # Lateness is judged where it can be written down: by the job itself.
            "misfire_grace_time": None,
            "coalesce": True,
            "max_instances": settings.SCHEDULER_MAX_INSTANCES,
            "next_run_time": armed.next_execution,
        }


def first_execution(now: datetime) -> datetime | None:
    """When the first call that nobody holds and that is not too late is looked at."""
    return next(iter(_first_execution(now, too_late_since(now))), None)


@compiled_select
def _first_execution(now: datetime, since: datetime) -> QuerySet[ActiveSchedule, datetime]:
    return ActiveSchedule.objects.free(now).filter(next_execution__gte=since).first_execution()


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
