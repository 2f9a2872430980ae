"""A worker: the Celery process that dials what runners hand over."""

import logging
import threading
from dataclasses import dataclass
from typing import Any

from celery.concurrency.thread import TaskPool
from celery.signals import setup_logging, worker_init, worker_shutdown
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.utils.module_loading import import_string

from polaris.audit.acting import this_process_is
from polaris.celery import DIAL, app
from polaris.database import in_one_line, keep_connections, refuse_unfit_server
from polaris.demo import refuse_demo_operator
from schedules import runner
from schedules.models import Runner

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Me:
    worker_id: str = ""
    is_over: threading.Event | None = None


_me = _Me()


@app.task(name=DIAL)
def dial(armed_id: str, lease: str, begins_at: float, is_trial: bool) -> None:
    """Make the call of a claimed row, where that claim still holds it."""
    try:
        import_string(settings.SCHEDULER_HANDED_JOB)(armed_id, lease, begins_at, is_trial)
    except DatabaseError as error:
        # Nothing was begun, or the ledger tells: its runner hands it over again, or its claim ends.
        logger.warning("%s is not dialled, the database failed: %s", armed_id, in_one_line(error))


@setup_logging.connect
def _keep_logging(**_: Any) -> None:
    """Django has set it up, masks included: Celery leaves it alone where somebody listens."""


@worker_init.connect
def _begin(sender: Any, **_: Any) -> None:
    """Sign in, as a runner does. What is wrong ends the start with one line."""
    try:
        if not issubclass(sender.pool_cls, TaskPool):
            raise ImproperlyConfigured("a worker of Polaris has threads: start it without --pool.")
        runner.step_back()
        refuse_unfit_server()
        refuse_demo_operator()
        import_string(settings.SCHEDULER_PREFLIGHT)()
        keep_connections(checked=False)  # as in a runner
        me = runner.register(Runner.Role.WORKER)
    except ImproperlyConfigured as error:
        raise SystemExit(f"polaris: {error}") from error
    except DatabaseError as error:
        reason = in_one_line(error)
        refusal = f"polaris: the database cannot be used: {reason} (manage.py migrate?)"
        raise SystemExit(refusal) from error
    except Exception as error:  # Celery would go on, with a worker that no runner knows of
        logger.exception("the worker has not signed in")
        raise SystemExit("polaris: the worker cannot start, as the log says.") from error
    runner.spare_what_is_loaded()
    this_process_is(me.pk)
    _me.worker_id, _me.is_over = me.pk, threading.Event()
    beating = (me.pk, _me.is_over)
    threading.Thread(target=_keep_beating, args=beating, name="heartbeat", daemon=True).start()
    logger.info("worker %s dials what runners hand over", me.pk)


@worker_shutdown.connect
def _end(**_: Any) -> None:
    """The calls in hand are finished: Celery tells so afterwards."""
    if _me.is_over is None or _me.is_over.is_set():
        return
    _me.is_over.set()
    try:
        runner.sign_off(_me.worker_id)
    except DatabaseError as error:
        logger.warning("the worker could not sign off: %s", in_one_line(error))
    logger.info("worker %s has stopped", _me.worker_id)


def _keep_beating(worker_id: str, is_over: threading.Event) -> None:
    try:
        while not is_over.wait(Runner.HEARTBEAT.total_seconds()):
            try:
                runner.beat_of_worker(worker_id)
            except DatabaseError as error:
                logger.warning("the database failed: %s", in_one_line(error))
    finally:
        connection.close()  # of this thread
