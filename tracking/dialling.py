"""Dials a claimed occurrence: the job that APScheduler runs."""

import logging
import time
from functools import partial

from django.utils import timezone

from polaris.masking import mask_phone
from schedules import arming
from schedules.models import ActiveSchedule
from tracking import ledger, refusals, writers
from tracking.carriers import get_carrier
from tracking.carriers.base import CallNotAccepted, CallReport, CallRequest, Trouble
from tracking.decisions import Dial, FoundOpen, GiveUp, Impossible, Lost, Miss, Wait
from tracking.ledger import Accepted
from tracking.models import CallLog
from tracking.opening import Opening, Openings
from tracking.recording import Recorder, insist
from tracking.writers import write

logger = logging.getLogger(__name__)

_openings = Openings()
_recorder = Recorder()


def prepare() -> None:
    """What a runner does before it claims: raises ImproperlyConfigured where it could not dial."""
    get_carrier()
    writers.start()


def dial(armed_id: str, lease: str, begins_at: float = 0.0) -> None:
    """Make the call that `armed_id` stands for, where the claim `lease` still holds it.

    Not before `begins_at` (seconds since 1970), nor before it is due. Never raises for what a
    carrier, a pause or another runner does; the ledger tells."""
    opening = _openings.take(armed_id, lease)
    if opening is None:
        logger.info("%s is not dialled: its claim was lost", armed_id)
    elif isinstance(opening.decision, Dial) and opening.log:
        _wait_until(max(begins_at, opening.armed.due_at.timestamp()))
        _ask_carrier(opening.armed, opening.log)
    else:
        write(partial(_carry_out, opening))


def _carry_out(opening: Opening) -> None:
    """What is decided instead of dialling."""
    armed = opening.armed
    try:
        match opening.decision:
            case Miss() as miss:
                ledger.record_missed(armed, miss)
                for occurrence, reason in miss.reasons.items():
                    logger.warning("misfire of %s at %s: %s", armed.schedule_id, occurrence, reason)
            case GiveUp(deferred, reason):
                ledger.record_given_up(armed, deferred, reason)
                logger.warning("%s is given up: %s", deferred.pk, reason)
            case Wait() as wait:
                ledger.record_waiting(armed, wait)
            case Impossible(reason):
                logger.error("the rule of %s cannot be followed: %s", armed.schedule_id, reason)
                ledger.record_impossible(armed, reason)
            case FoundOpen():
                _leave_unknown(armed)
            case Lost():
                raise ledger.ClaimLost
    except ledger.ClaimLost:
        arming.put_away(armed)
        logger.info("%s is not dialled: it was paused, changed or cancelled meanwhile", armed.pk)
    except ledger.AlreadyOpen:
        _leave_unknown(armed)


def _leave_unknown(armed: ActiveSchedule) -> None:
    ledger.record_unknown(armed)
    logger.error("whether %s of %s was dialled is unknown", armed.occurrence, armed.schedule_id)


def _ask_carrier(armed: ActiveSchedule, log: CallLog) -> None:
    asked_at = timezone.now()
    try:
        with _recorder:
            answer = _place(armed, log)
    except CallNotAccepted as refusal:
        _write_refusal(armed, log, refusal)
        return
    accepted = Accepted(armed, log, answer, asked_at)
    if not insist(lambda: _recorder.record(accepted)):
        logger.error("%s was placed as %s, which could not be written", log.pk, answer.call_id)
        return
    logger.info(
        "dialled %s for %s as %s, %.3f s after its time",
        mask_phone(log.phone),
        log.schedule_id,
        answer.call_id,
        (asked_at - armed.due_at).total_seconds(),
    )


def _place(armed: ActiveSchedule, log: CallLog) -> CallReport:
    """Raises CallNotAccepted."""
    if armed.is_lease_over(timezone.now()):
        # Who has stalled past its lease may have been taken over, and does not dial any more.
        raise CallNotAccepted(
            Trouble.NOT_SENT, code="stalled", message="The runner stalled and did not dial."
        )
    schedule = armed.schedule
    request = CallRequest(
        to=log.phone,
        attempt_id=log.pk,
        schedule_id=schedule.pk,
        agent_instance_id=schedule.agent_instance_id,
        detects_machines=bool(schedule.retries and "machine" in schedule.retries.on),
    )
    return get_carrier().place_call(request)


def _write_refusal(armed: ActiveSchedule, log: CallLog, refusal: CallNotAccepted) -> None:
    def note() -> None:
        log.refresh_from_db()
        refusals.write_down(armed, log, refusal)
        refusals.open_the_gate(refusal)

    written = insist(partial(write, note))
    level = logging.ERROR if refusal.trouble is Trouble.ACCOUNT else logging.WARNING
    logger.log(level, "%s of %s was not accepted: %s", log.pk, log.schedule_id, refusal)
    if not written:
        logger.error("%s: its refusal could not be written", log.pk)


def _wait_until(moment: float) -> None:
    """Claims are made just ahead of time, so that their calls are not late."""
    left = moment - timezone.now().timestamp()
    if left > 0:
        time.sleep(min(left, 1.0))
