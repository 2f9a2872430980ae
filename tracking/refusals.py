"""What a refusal leads to: asking again later, giving up, or a halt of all dialling."""

import logging
import random
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from polaris.database import in_one_line
from schedules import gate
from schedules.models import ActiveSchedule
from tracking import ledger
from tracking.carriers.base import CallNotAccepted, Trouble
from tracking.models import CallLog

logger = logging.getLogger(__name__)

_FIRST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(seconds=60)
# Certainly not placed, and may be taken when asked again.
_FOR_NOW = {Trouble.BUSY, Trouble.NOT_SENT, Trouble.ACCOUNT}
# Nothing would be taken: dialling stops until a probe or an operator says otherwise.
_OF_ALL_CALLS = {Trouble.ACCOUNT, Trouble.PERMISSION}
_OF_THIS_CALL = {Trouble.NUMBER, Trouble.REQUEST, Trouble.BUSY}


def write_down(armed: ActiveSchedule, log: CallLog, error: CallNotAccepted) -> None:
    """Record that the carrier did not take a call, and act upon why."""
    _record(armed, log, error)
    if error.trouble in _OF_ALL_CALLS and gate.close(error.message):
        logger.error("dialling stops, the carrier refuses the account: %s", error.message)


def _record(armed: ActiveSchedule, log: CallLog, error: CallNotAccepted) -> None:
    if error.trouble is Trouble.AMBIGUOUS:
        ledger.record_ambiguous(armed, log, error)
        return
    until = _asked_again_at(armed, error)
    if until is None:
        ledger.record_refused(armed, log, error)
    else:
        ledger.record_deferred(armed, log, error, until=until)


def open_the_gate(error: CallNotAccepted | None = None) -> None:
    """An answer that has nothing against the account ends a halt that such an answer began."""
    if error is not None and error.trouble not in _OF_THIS_CALL:
        return
    try:
        if gate.was_closed() and gate.reopen():
            logger.warning("the carrier takes calls again: dialling goes on")
    except DatabaseError as failure:
        logger.warning("the gate could not be looked at: %s", in_one_line(failure))


def _asked_again_at(armed: ActiveSchedule, error: CallNotAccepted) -> datetime | None:
    """When, with backoff and jitter; None where that is no use or would be too late."""
    if error.trouble not in _FOR_NOW:
        return None
    longest = min(_FIRST_WAIT * 2 ** min(armed.asked, 10), _LONGEST_WAIT)
    wait = longest * random.uniform(0.5, 1)  # noqa: S311 (no secret)
    if error.retry_after is not None:
        wait = max(wait, error.retry_after)
    until = timezone.now() + wait
    grace = timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)
    return until if until <= armed.due_at + grace else None
