"""The Celery application, made only where SCHEDULER_EXECUTOR is celery: `celery -A polaris worker`.

What travels is JSON: the ids of a claimed row and of its claim, a moment and a flag. Rows are the
truth and a message is a hint; docs/decisions/0019 says what follows from that.
"""

import math
import os
import sys

import django
from celery import Celery
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

DIAL = "polaris.dial"


def make_app() -> Celery:
    """An application for the broker that the settings name. Raises ImproperlyConfigured."""
    if settings.SCHEDULER_EXECUTOR != "celery":
        raise ImproperlyConfigured(
            f"SCHEDULER_EXECUTOR is {settings.SCHEDULER_EXECUTOR}, so runners hand nothing to "
            "workers: set it to celery, here and for the runners."
        )
    made = Celery("polaris", broker=settings.CELERY_BROKER_URL, fixups=[])
    made.conf.update(
        include=["schedules.worker"],
        task_default_queue="polaris",
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        # Threads share the ledger's connections, and batches of its rows.
        worker_pool="threads",
        worker_concurrency=settings.SCHEDULER_WORKERS,
        # A message is done with once a thread has it: from there on the row's lease tells.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            # What a dead worker had fetched and not begun is somebody else's after as long.
            "visibility_timeout": math.ceil(settings.SCHEDULER_LEASE_SECONDS),
            "socket_connect_timeout": 3,
            "socket_timeout": 10,
            "socket_keepalive": True,
        },
    )
    return made


def _begin() -> Celery:
    """A wrong setting ends a worker's start with one line, as it does manage.py."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "polaris.settings")
    try:
        if not apps.ready:
            django.setup()
        return make_app()
    except ImproperlyConfigured as error:
        sys.exit(f"polaris: {error}")


app = _begin()
