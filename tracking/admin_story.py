"""A call told in sentences: what happened to it, in order, and why."""

from collections.abc import Iterator
from datetime import tzinfo

from polaris.admin_words import lateness_in_words, moment_in_words, span_in_words
from tracking.models import CallLog
from tracking.states import CallStatus

_STANDING = {
    CallStatus.PENDING: "It is on the ledger; the carrier has not answered yet.",
    CallStatus.DEFERRED: (
        "The carrier has refused it for now. It is asked again until it is taken, or too late."
    ),
    CallStatus.QUEUED: "The carrier has accepted it and will dial.",
    CallStatus.INITIATED: "The carrier is dialling.",
    CallStatus.RINGING: "It is ringing.",
    CallStatus.IN_PROGRESS: "They are talking.",
    CallStatus.UNKNOWN: (
        "It may have been placed: nobody knows until a webhook or a look-up tells. It is dialled "
        "again only when the carrier is seen not to have it."
    ),
}
_STOPPING = {
    CallLog.Stop.CANCEL: "It is not wanted any more: the carrier cancels it unless it is answered.",
    CallLog.Stop.HANG_UP: "It is not wanted any more: the carrier ends it, answered or not.",
}
_ENDS = {
    CallStatus.COMPLETED: "completed",
    CallStatus.BUSY: "the line was busy",
    CallStatus.NO_ANSWER: "nobody answered",
    CallStatus.FAILED: "it failed",
    CallStatus.CANCELLED: "it was cancelled",
}


def story_of(log: CallLog, zone: tzinfo) -> list[str]:
    """The sentences, with their times on the zone's clock."""
    return [*_beginning(log, zone), *_middle(log, zone), *_why(log)]


def _beginning(log: CallLog, zone: tzinfo) -> Iterator[str]:
    if log.occurrence is None:
        yield "The carrier told us of this call; no schedule of ours asked for it."
    else:
        nth = f" (attempt {log.attempt})" if log.attempt > 1 else ""
        yield f"Due on {moment_in_words(log.occurrence, zone)}{nth}."
        if log.due_at and log.due_at != log.occurrence:
            yield f"This attempt was due on {moment_in_words(log.due_at, zone)}."
    when = moment_in_words(log.timestamp, zone)
    late = lateness_in_words(log.lateness)
    if log.status == CallStatus.MISSED:
        yield f"Recorded as missed on {when}, {late}; it was never dialled."
    elif log.status == CallStatus.DEFERRED:
        yield f"Asked for on {when}{', ' + late if late else ''}."
    else:
        yield f"Dialled on {when}{', ' + late if late else ''}."


def _middle(log: CallLog, zone: tzinfo) -> Iterator[str]:
    if log.start_time:
        waited = span_in_words(log.start_time - log.timestamp)
        yield f"Answered on {moment_in_words(log.start_time, zone)}, after {waited}."
    if log.status in _ENDS:
        end = f" on {moment_in_words(log.end_time, zone)}" if log.end_time else ""
        talked = f", {log.duration} s talked" if log.duration else ""
        yield f"Ended{end}: {_ENDS[CallStatus(log.status)]}{talked}."
    elif log.status in _STANDING:
        yield _STANDING[CallStatus(log.status)]
        if log.stop:
            yield _STOPPING[CallLog.Stop(log.stop)]


def _why(log: CallLog) -> Iterator[str]:
    if log.error_message:
        code = f" ({log.error_code})" if log.error_code else ""
        yield f"Why: {log.error_message}{code}"
    if log.attention:
        yield f"Look at it: {log.attention}"


def zone_of(log: CallLog, otherwise: tzinfo) -> tzinfo:
    """The zone of the log's schedule, where that still exists."""
    return log.schedule.zone if log.schedule else otherwise
