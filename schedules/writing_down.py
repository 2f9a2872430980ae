"""Writes down what needs nobody who dials: misses, and calls that the dead have begun.

A runner's threads do so with all that they claim. Where calls are handed over to others, the runner
does this much by itself: misses are told of though the broker or the last worker is gone.
"""

import logging
import time

from apscheduler.util import ref_to_obj
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from polaris.database import renew_connection
from schedules.claims import claim_undialled

logger = logging.getLogger(__name__)

_AT_ONCE = 100
_LONGEST_TURN = 1.0  # seconds, after which others of this process have theirs


def write_down(runner_id: str) -> None:
    """One turn: until nothing is left, or it has taken long enough."""
    renew_connection()
    deal_with = ref_to_obj(settings.SCHEDULER_JOB)
    begun = time.monotonic()
    while time.monotonic() - begun < _LONGEST_TURN:
        claims = claim_undialled(
            runner_id=runner_id,
            moment=timezone.now(),
            limit=_AT_ONCE,
            lease=settings.SCHEDULER_LEASE,
        )
        for armed in claims:
            try:
                deal_with(armed.pk, armed.lease, 0.0)
            except DatabaseError:
                raise
            except Exception:  # one row that cannot be put right does not keep the others from it
                logger.exception("%s could not be written down", armed.pk)
        if len(claims) < _AT_ONCE:
            break
    renew_connection()
