"""Dials a claimed occurrence: the job that APScheduler runs."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from polaris.database import renew_connection
from polaris.masking import mask_phone
from schedules import arming
from schedules.models import ActiveSchedule
from schedules.recurrence import due_occurrences
from tracking import ledger
from tracking.carriers import get_carrier
from tracking.carriers.base import CallNotAccepted, CallRequest, Trouble
from tracking.models import CallLog

logger = logging.getLogger(__name__)

# A schedule that slept for months is caught up with in steps of this many occurrences.
_MISSED_AT_ONCE = 500
# Seconds between the attempts to write an answer, together well within a lease.
_WAITS = (0.1, 0.3, 1, 2, 4, 8)


def dial(armed_id: str, lease: str) -> None:
    """Make the call that `armed_id` stands for, where the claim `lease` still holds it.

    Never raises for what a carrier, a pause or another runner does; the ledger tells."""
    renew_connection()
    armed = None
    try:
        held = ActiveSchedule.objects.filter(pk=armed_id, lease=lease)
        armed = held.select_related("schedule").first()
        if armed is None:
            raise ledger.ClaimLost
        _make(armed)
    except ledger.ClaimLost:
        if armed is not None:
            arming.put_away(armed)
        logger.info("%s is not dialled: it was paused, changed or cancelled meanwhile", armed_id)
    finally:
        renew_connection()


def _make(armed: ActiveSchedule) -> None:
    try:
        _attempt(armed)
    except ledger.AlreadyOpen:
        ledger.record_unknown(armed)
        logger.error("whether %s of %s was dialled is unknown", armed.occurrence, armed.schedule_id)


def _attempt(armed: ActiveSchedule) -> None:
    try:
        missed = _missed(armed, now=timezone.now())
    except Exception as error:
        # A zone that has vanished, a rule edited by hand: it would come round for ever.
        logger.exception("the rule of %s cannot be followed", armed.schedule_id)
        ledger.record_impossible(armed, f"Its rule cannot be followed: {error}")
        return
    if missed:
        _miss(armed, missed)
    else:
        _ask_carrier(armed, ledger.open_attempt(armed))


def _miss(armed: ActiveSchedule, missed: dict[datetime, str]) -> None:
    ledger.record_missed(armed, missed)
    for occurrence, reason in missed.items():
        logger.warning("misfire of %s at %s: %s", armed.schedule_id, occurrence, reason)


def _ask_carrier(armed: ActiveSchedule, log: CallLog) -> None:
    schedule = armed.schedule
    request = CallRequest(
        to=schedule.phone,
        attempt_id=log.pk,
        schedule_id=schedule.pk,
        agent_instance_id=schedule.agent_instance_id,
    )
    try:
        _require_lease(armed)
        answer = get_carrier().place_call(request)
    except CallNotAccepted as refusal:
        error = refusal
        _insist(lambda: ledger.record_not_accepted(armed, log, error), log)
        level = logging.ERROR if error.trouble is Trouble.ACCOUNT else logging.WARNING
        logger.log(level, "%s of %s was not accepted: %s", log.pk, schedule.pk, error)
        return
    if not _insist(lambda: ledger.record_accepted(armed, log, answer), log):
        logger.error("%s was placed as %s, which could not be written", log.pk, answer.call_id)
        return
    logger.info(
        "dialled %s for %s as %s, %.3f s after its time",
        mask_phone(schedule.phone),
        schedule.pk,
        answer.call_id,
        (log.timestamp - armed.occurrence).total_seconds(),
    )


def _require_lease(armed: ActiveSchedule) -> None:
    """Who has stalled past its lease may have been taken over, and does not dial any more."""
    if armed.is_lease_over(timezone.now()):
        raise CallNotAccepted(
            Trouble.NOT_SENT, code="stalled", message="The runner stalled and did not dial."
        )


def _insist(write: Callable[[], None], log: CallLog) -> bool:
    """Write the carrier's answer down though the database fails for a while; says whether it did.

    The answer is known nowhere else: without it the call would be unknown."""
    for tries, wait in enumerate(_WAITS):
        try:
            if tries:
                log.refresh_from_db()
            write()
        except OperationalError:
            logger.warning("the carrier's answer could not be written; it is tried again")
            time.sleep(wait)
            renew_connection()
        else:
            return True
    return False


def _missed(armed: ActiveSchedule, *, now: datetime) -> dict[datetime, str]:
    """The occurrences up to `now` that are not dialled, each with its reason.

    Of several due ones only the last is dialled, and only within the grace time."""
    due = _due(armed, now)
    grace = timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME)
    missed = {earlier: _overtaken(later) for earlier, later in pairwise(due)}
    late = now - due[-1]
    if late > grace or len(due) == _MISSED_AT_ONCE:
        missed[due[-1]] = (
            f"Its time passed {_in_words(late)} before a runner could dial it, more than the "
            f"grace time of {_in_words(grace)}."
        )
    return missed


def _due(armed: ActiveSchedule, now: datetime) -> list[datetime]:
    schedule = armed.schedule
    if armed.origin != ActiveSchedule.Origin.RULE or not schedule.is_recurring:
        return [armed.occurrence]
    due = due_occurrences(
        schedule.anchor,
        schedule.zone,
        schedule.rule,
        start=armed.occurrence,
        end=now,
        limit=_MISSED_AT_ONCE,
    )
    return due or [armed.occurrence]


def _overtaken(later: datetime) -> str:
    return f"No runner dialled it before the next one, {later:%Y-%m-%d %H:%M:%S} UTC, was due."


def _in_words(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
