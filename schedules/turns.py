"""Turns: of several runners one at a time does a housekeeping job.

The store gives a due job to one runner, but one that takes longer than its interval is due again
meanwhile. A turn is a lease, kept as long as the job runs; that of a dead runner runs out.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from apscheduler.util import ref_to_obj
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from polaris.database import in_one_line, renew_connection
from polaris.ids import new_id
from schedules.models import Turn

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
RENEWED_EVERY = timedelta(seconds=15)


def run(name: str) -> None:
    """Do the housekeeping job of that name, unless a run of it is under way somewhere."""
    renew_connection(is_checked=True)  # hours may have passed; a job that fails waits as long
    job = ref_to_obj(settings.HOUSEKEEPING[name]["job"])
    with turn_of(name) as is_ours:
        if is_ours:
            job()
        else:
            logger.info("%s is passed over: its last run is not over", name)


@contextmanager
def turn_of(name: str) -> Iterator[bool]:
    """Holds the turn `name` for the length of the block; yields whether it was free.

    Kept by a thread of its own. Where that fails for LEASE (the database is away, the machine has
    slept) somebody else takes it: what is done in turns must still be safe to do twice."""
    holder = new_id("turn")
    if not take(name, holder=holder):
        yield False
        return
    is_over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(name, holder, is_over), name=f"turn of {name}")
    keeper.daemon = True
    keeper.start()
    try:
        yield True
    finally:
        is_over.set()
        keeper.join()
        give_back(name, holder=holder)


def take(name: str, *, holder: str) -> bool:
    """Compare-and-set: of all who want a turn that is free or has run out, one gets it."""
    now = timezone.now()
    Turn.objects.get_or_create(pk=name)
    free = Turn.objects.filter(Q(until=None) | Q(until__lt=now), pk=name)
    return bool(free.update(holder=holder, until=now + LEASE))


def renew(name: str, *, holder: str) -> bool:
    """Keep a turn for another LEASE; says whether it was still ours."""
    ours = Turn.objects.filter(pk=name, holder=holder)
    return bool(ours.update(until=timezone.now() + LEASE))


def give_back(name: str, *, holder: str) -> None:
    """End a turn; one that has gone to somebody else stays with them."""
    Turn.objects.filter(pk=name, holder=holder).update(holder="", until=None)


def _keep(name: str, holder: str, is_over: threading.Event) -> None:
    try:
        while not is_over.wait(RENEWED_EVERY.total_seconds()):
            try:
                renew_connection()
                if not renew(name, holder=holder):
                    logger.warning("the turn of %s was lost: it had run out", name)
                    return
            except DatabaseError as error:
                logger.warning("the turn of %s is not renewed: %s", name, in_one_line(error))
    finally:
        connection.close()  # of this thread
