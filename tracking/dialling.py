"""Dials a claimed occurrence: the job that APScheduler runs."""

import logging
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.utils import timezone

from polaris.database import renew_connection
from polaris.masking import mask_phone
from schedules.models import ActiveSchedule
from schedules.recurrence import due_occurrences
from tracking import ledger
from tracking.carriers import get_carrier
from tracking.carriers.base import CallNotAccepted, CallRequest, Trouble
from tracking.models import CallLog

logger = logging.getLogger(__name__)

# A schedule that slept for months is caught up with in steps of this many occurrences.
_MISSED_AT_ONCE = 500


def dial(armed_id: str, lease: str) -> None:
    """Make the call that `armed_id` stands for, where the claim `lease` still holds it.

    Never raises for what a carrier, a pause or another runner does; the ledger tells."""
    renew_connection()
    try:
        held = ActiveSchedule.objects.filter(pk=armed_id, lease=lease)
        armed = held.select_related("schedule").first()
        if armed is None:
            raise ledger.ClaimLost
        _make(armed)
    except ledger.ClaimLost:
        logger.info("%s is not dialled: it was paused, changed or cancelled meanwhile", armed_id)
    finally:
        renew_connection()


def _make(armed: ActiveSchedule) -> None:
    try:
        missed = _missed(armed, now=timezone.now())
        if missed:
            _miss(armed, missed)
        else:
            _ask_carrier(armed, ledger.open_attempt(armed))
    except ledger.AlreadyOpen:
        ledger.record_unknown(armed)
        logger.error("whether %s of %s was dialled is unknown", armed.occurrence, armed.schedule_id)


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
        answer = get_carrier().place_call(request)
    except CallNotAccepted as error:
        ledger.record_not_accepted(armed, log, error)
        level = logging.ERROR if error.trouble is Trouble.ACCOUNT else logging.WARNING
        logger.log(level, "%s of %s was not accepted: %s", log.pk, schedule.pk, error)
        return
    ledger.record_accepted(armed, log, answer)
    logger.info(
        "dialled %s for %s as %s, %.3f s after its time",
        mask_phone(schedule.phone),
        schedule.pk,
        answer.call_id,
        (log.timestamp - armed.occurrence).total_seconds(),
    )


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
        schedule.scheduled_time,
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
