"""A runner: the APScheduler process that dials what is due."""

import gc
import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.triggers.interval import IntervalTrigger
from apscheduler.util import ref_to_obj
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone
from django.utils.module_loading import import_string
from django_apscheduler.models import DjangoJob

import polaris
from polaris.audit.acting import acting
from polaris.audit.recording import Act, record
from polaris.database import atomic, in_one_line, renew_connection
from schedules import blocked, watch
from schedules.executor import Places
from schedules.housekeeping_store import HousekeepingStore
from schedules.jobstore import ArmedJobStore
from schedules.models import Runner
from schedules.scheduler import CallScheduler
from schedules.writing_down import write_down

logger = logging.getLogger(__name__)

_COMPANIONS = "companions"  # jobs of this process alone, kept in memory
_COMPANION_SECONDS = 1


def build_scheduler(runner_id: str) -> CallScheduler:
    """The scheduler of a runner: calls from our rows, housekeeping from django-apscheduler's."""
    executor_of = import_string(settings.SCHEDULER_EXECUTORS[settings.SCHEDULER_EXECUTOR])
    executor = executor_of(settings.SCHEDULER_WORKERS)
    calls = ArmedJobStore(runner_id=runner_id, executor=executor)
    scheduler = CallScheduler(
        timezone=settings.SCHEDULER_TIMEZONE,
        jobstores={
            Places.ALIAS: calls,
            HousekeepingStore.ALIAS: HousekeepingStore(),
            _COMPANIONS: MemoryJobStore(),
        },
        executors={
            Places.ALIAS: executor,
            HousekeepingStore.ALIAS: ThreadPoolExecutor(2),
            _COMPANIONS: ThreadPoolExecutor(2),
        },
        job_defaults={
            "coalesce": True,
            "max_instances": settings.SCHEDULER_MAX_INSTANCES,
            "misfire_grace_time": settings.SCHEDULER_MISFIRE_GRACE_TIME,
        },
        jobstore_retry_interval=1,
    )
    scheduler.add_listener(_log_execution, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
    _add_housekeeping(scheduler)
    _add_companions(scheduler, runner_id, executor)
    return scheduler


def register(role: Runner.Role = Runner.Role.RUNNER) -> Runner:
    """Write down that this process runs."""
    host = socket.gethostname()[:255]
    runner = Runner(role=role, host=host, process_id=os.getpid(), version=polaris.VERSION)
    name = str(runner) if role == Runner.Role.RUNNER else f"{role} {runner}"
    with acting(runner.pk), atomic():
        runner.save(force_insert=True)
        record(Act("runner.start", "runner", runner.pk, reason=name))
    return runner


def sign_off(runner_id: str) -> None:
    """Write down that this process has ended in good order."""
    renew_connection()
    with acting(runner_id), atomic():
        Runner.objects.filter(pk=runner_id).update(stopped_at=timezone.now())
        record(Act("runner.stop", "runner", runner_id))


def living_runners() -> list[str]:
    """The ids of the runners and workers that may be dialling."""
    return list(Runner.objects.alive().values_list("pk", flat=True))


def beat(runner_id: str, trouble: Callable[[], str | None] = lambda: None) -> None:
    """Write down that this runner still runs, and what its `trouble` is."""
    renew_connection()
    Runner.objects.filter(pk=runner_id).update(last_seen_at=timezone.now(), trouble=trouble())
    watch.note_back()
    watch.look_for_workers()
    blocked.look()
    renew_connection()


def beat_of_worker(worker_id: str) -> None:
    """Write down that this worker still runs."""
    renew_connection()
    Runner.objects.filter(pk=worker_id).update(last_seen_at=timezone.now())
    watch.note_back(watch.WORKERS)
    renew_connection()


def step_back() -> None:
    """Let other processes of this machine go first, by SCHEDULER_NICE: web processes answer while a
    burst is dialled. Where a sandbox forbids that, calls are dialled all the same. Call it before
    there are other threads."""
    try:
        os.nice(settings.SCHEDULER_NICE)
    except OSError as error:
        logger.warning("SCHEDULER_NICE is not followed: %s", error.strerror)


def spare_what_is_loaded() -> None:
    """What was loaded at start stays: the garbage collector need not look through it every time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _add_housekeeping(scheduler: CallScheduler) -> None:
    DjangoJob.objects.exclude(pk__in=settings.HOUSEKEEPING).delete()
    waiting = dict(DjangoJob.objects.values_list("pk", "next_run_time"))
    for name, task in settings.HOUSEKEEPING.items():
        # A job that waits already keeps its time: starts and restarts neither hurry nor delay it.
        known = {"next_run_time": waiting[name]} if waiting.get(name) else {}
        scheduler.add_job(
            "schedules.turns:run",
            IntervalTrigger(seconds=int(task["every"].total_seconds()), timezone=UTC),
            args=[name],
            id=name,
            name=name,
            jobstore=HousekeepingStore.ALIAS,
            executor=HousekeepingStore.ALIAS,
            max_instances=1,
            replace_existing=True,
            **known,
        )


def _add_companions(scheduler: CallScheduler, runner_id: str, calls: Places) -> None:
    heartbeat = Runner.HEARTBEAT.total_seconds()
    _add_companion(scheduler, beat, heartbeat, args=[runner_id, calls.trouble])
    if calls.is_queue:
        _add_companion(scheduler, write_down, _COMPANION_SECONDS, args=[runner_id])
    for job in settings.COMPANION_JOBS.values():
        _add_companion(scheduler, job, _COMPANION_SECONDS)


def _add_companion(scheduler: CallScheduler, job: Any, seconds: float, **more: Any) -> None:
    scheduler.add_job(
        _unless_it_runs(ref_to_obj(job) if isinstance(job, str) else job),
        IntervalTrigger(seconds=seconds, timezone=UTC),
        next_run_time=datetime.now(UTC),
        jobstore=_COMPANIONS,
        executor=_COMPANIONS,
        max_instances=2,
        misfire_grace_time=None,
        **more,
    )


def _unless_it_runs(job: Callable[..., object]) -> Callable[..., None]:
    """Passes over a turn in silence where the last one still runs; APScheduler would warn."""
    running = threading.Lock()

    def run(*args: Any) -> None:
        if running.acquire(blocking=False):
            try:
                job(*args)
            except DatabaseError as error:
                logger.warning("the database failed: %s", in_one_line(error))
            finally:
                running.release()

    return run


def _log_execution(event: Any) -> None:
    if event.code == EVENT_JOB_ERROR:
        failure = f"{event.exception!r}\n{event.traceback}"
        logger.error("job %s of %s failed: %s", event.job_id, event.jobstore, failure)
    elif event.jobstore == HousekeepingStore.ALIAS:
        logger.info("job %s of %s executed", event.job_id, event.jobstore)
