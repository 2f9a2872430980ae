"""Dials a claimed occurrence: the job that APScheduler runs, or a worker to which it was handed."""

import logging
import time
from datetime import datetime
from functools import partial

from django.conf import settings
from django.utils import timezone

from polaris.masking import masked_number
from polaris.privacy import lookup_state
from schedules import arming, claims, gate
from schedules.models import ActiveSchedule
from tracking import ledger, refusals, writers
from tracking.carriers import answered_within, get_carrier
from tracking.carriers.base import CallNotAccepted, CallReport, CallRequest, Trouble
from tracking.decisions import (
    Dial,
    FoundOpen,
    GiveUp,
    HandBack,
    Impossible,
    Lost,
    Miss,
    Wait,
    is_too_late,
)
from tracking.ledger import Accepted
from tracking.models import CallLog
from tracking.opening import Handed, HandedOpenings, LateSlots, Opening, Openings
from tracking.recording import Recorder, insist
from tracking.reports import ask_soon
from tracking.writers import write

logger = logging.getLogger(__name__)

# Between a call's slot and its create: more than threads and a ledger ever take.
_HELD_UP_SECONDS = 1.0

_openings = Openings()
_handed_openings = HandedOpenings()
_late_slots = LateSlots()
_recorder = Recorder()


def prepare() -> None:
    """What a runner does before it claims: raises ImproperlyConfigured where it could not dial."""
    get_carrier()
    lookup_state.adopt()
    writers.start()


def dial(armed_id: str, lease: str, begins_at: float = 0.0) -> None:
    """Make the call that `armed_id` stands for, where the claim `lease` still holds it.

    Not before `begins_at` (seconds since 1970), nor before it is due. Never raises for what a
    carrier, a pause or another runner does; the ledger tells."""
    opening = _openings.take(armed_id, lease)
    if opening is None:
        logger.info("%s is not dialled: its claim was lost", armed_id)
    else:
        _deal_with(opening, begins_at)


def dial_handed(armed_id: str, lease: str, begins_at: float, is_trial: bool) -> None:
    """As `dial`, for a worker: all that it is told is a hint that this row is to be dialled.

    `is_trial` says that it was claimed as the one call that a closed gate lets through."""
    handed = Handed(armed_id, lease, begins_at, is_trial)
    if handed.is_held_up and not _has_another_slot(handed):
        _hand_back(handed)
        return
    opening = _handed_openings.take(handed)
    if opening is None:
        logger.info("%s is not dialled: its claim was lost, or it is dialled already", armed_id)
    else:
        _deal_with(opening, handed.begins_at, is_trial=is_trial)


def _has_another_slot(handed: Handed) -> bool:
    """Waits for it, until just before it: then its ledger is opened."""
    slot = _late_slots.take(handed)
    if slot is None:
        return False
    handed.begins_at = slot.timestamp()
    _wait_until((slot - claims.LEAD).timestamp())
    return True


def _hand_back(handed: Handed) -> None:
    def give_back() -> None:
        claims.give_back_these([handed.key])
        if handed.is_trial:
            gate.look()
            gate.give_back()

    write(give_back)
    logger.info("%s is handed back: it has missed its slot, and none is free", handed.armed_id)


def _deal_with(opening: Opening, begins_at: float, *, is_trial: bool = True) -> None:
    if isinstance(opening.decision, Dial) and opening.log:
        _wait_until(max(begins_at, opening.armed.due_at.timestamp()))
        if _is_in_time(opening.armed, opening.log, begins_at):
            _ask_carrier(opening.armed, opening.log)
        else:
            _write_refusal(opening.armed, opening.log, _stalled())
    else:
        write(partial(_carry_out, opening))
        if is_trial and _may_have_been_tried(opening):
            write(gate.give_back)


def _is_in_time(armed: ActiveSchedule, log: CallLog, begins_at: float) -> bool:
    """Whether it has a slot.

    What a database or a machine that hung has held up takes another one, so that it does not go
    all at once: one so near that nobody's wish comes in between."""
    late = timezone.now().timestamp() - begins_at
    if not (settings.CALLS_PER_SECOND and begins_at and late > _HELD_UP_SECONDS):
        return True
    slot = write(partial(_take_late_slot, armed, log))
    if slot is None:
        return False
    _wait_until(slot.timestamp())
    return True


def _take_late_slot(armed: ActiveSchedule, log: CallLog) -> datetime | None:
    now = timezone.now()
    last = (armed.leased_until or now) - answered_within()
    slot = gate.take_late_slot(until=min(now + claims.LEAD, last))
    if slot:
        CallLog.objects.filter(pk=log.pk).update(timestamp=slot)  # a look-up goes by it
    return slot


def _may_have_been_tried(opening: Opening) -> bool:
    """What is neither too late nor begun passes a closed gate as a trial only."""
    is_begun = isinstance(opening.decision, FoundOpen)
    return not is_begun and not is_too_late(opening.armed, timezone.now())


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
            case HandBack():
                claims.give_back_these([(armed.pk, armed.lease)])
                logger.info("%s is handed back: dialling was stopped", armed.pk)
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
    attempts = insist(lambda: _recorder.record(accepted))
    if not attempts:
        logger.error("%s was placed as %s, which could not be written", log.pk, answer.call_id)
        return
    logger.info(
        "%s: dialled %s for %s as %s, %.3f s after its time",
        log.pk,
        masked_number(log),
        log.schedule_id,
        answer.call_id,
        (asked_at - armed.due_at).total_seconds(),
    )
    if attempts > 1:
        write(partial(ask_soon, log.pk))


def _place(armed: ActiveSchedule, log: CallLog) -> CallReport:
    """Raises CallNotAccepted."""
    if armed.is_lease_over(timezone.now()):
        # Who has stalled past its lease may have been taken over, and does not dial any more.
        raise _stalled()
    return get_carrier().place_call(request_of(armed, log))


def request_of(armed: ActiveSchedule, log: CallLog) -> CallRequest:
    """What the carrier is asked for an attempt."""
    schedule = armed.schedule
    return CallRequest(
        to=log.phone,
        attempt_id=log.pk,
        schedule_id=schedule.pk,
        agent_instance_id=schedule.agent_instance_id,
        detects_machines=bool(schedule.retries and "machine" in schedule.retries.on),
    )


def _stalled() -> CallNotAccepted:
    message = "The runner stalled and did not dial."
    return CallNotAccepted(Trouble.NOT_SENT, code="stalled", message=message)


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
    """Claims are made just ahead of time, so that their calls are not late. In seconds."""
    left = moment - timezone.now().timestamp()
    if left > 0:
        time.sleep(min(left, 1.0))
