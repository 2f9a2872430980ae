"""`manage.py runapscheduler`: dials what is due until it is told to stop."""

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils.module_loading import import_string

from polaris.audit.acting import this_process_is
from polaris.database import in_one_line, keep_connections, refuse_unfit_server
from polaris.demo import refuse_demo_operator
from schedules import runner

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Runs the scheduler: dials what is due. Ctrl-C or SIGTERM ends it in good order."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGINT or SIGTERM; finish the calls in hand, give back the rest."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        runner.step_back()
        refuse_unfit_server()
        refuse_demo_operator()
        import_string(settings.SCHEDULER_PREFLIGHT)()
        keep_connections(checked=False)  # a job is tried again where its connection has broken
        runner.spare_what_is_loaded()
        try:
            me = runner.register()
        except DatabaseError as error:
            reason = in_one_line(error)
            refusal = f"the database cannot be used: {reason} (manage.py migrate?)"
            raise CommandError(refusal) from error
        this_process_is(me.pk)
        scheduler = runner.build_scheduler(me.pk)
        scheduler.start()
        logger.info("runner %s dials what is due", me.pk)
        try:
            while not stop.wait(1.0):
                if not scheduler.is_alive:
                    raise CommandError("the scheduler's thread has died; start the runner again")
        finally:
            logger.info("runner %s stops: it finishes the calls in hand", me.pk)
            scheduler.shutdown(wait=True)
            runner.sign_off(me.pk)
            logger.info("runner %s has stopped", me.pk)
