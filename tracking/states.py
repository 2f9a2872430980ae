"""The states of a call, which may follow which, and how they are counted."""

from django.db.models import TextChoices

from polaris.states import Transitions


class CallStatus(TextChoices):
    """A call's states: the carrier's, and four of our own."""

    PENDING = "pending", "pending"  # on the ledger, the carrier has not answered
    DEFERRED = "deferred", "deferred"  # refused for now: it is asked again, or given up
    QUEUED = "queued", "queued"  # accepted, waits at the carrier
    INITIATED = "initiated", "initiated"  # the carrier dials
    RINGING = "ringing", "ringing"
    IN_PROGRESS = "in_progress", "in progress"
    COMPLETED = "completed", "completed"
    BUSY = "busy", "busy"
    NO_ANSWER = "no_answer", "no answer"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    MISSED = "missed", "missed"  # never dialled: its time had passed
    UNKNOWN = "unknown", "unknown"  # may have been placed: the carrier's answer was ambiguous


S = CallStatus

UNSUCCESSFUL = frozenset({S.BUSY, S.NO_ANSWER, S.FAILED, S.CANCELLED, S.MISSED})
FINAL = UNSUCCESSFUL | {S.COMPLETED}
# At the carrier, as far as we know.
LIVE = frozenset({S.QUEUED, S.INITIATED, S.RINGING, S.IN_PROGRESS})
# May be on the line: nobody dials the same number meanwhile.
ON_THE_LINE = LIVE | {S.PENDING, S.UNKNOWN}
UNSETTLED = ON_THE_LINE | {S.DEFERRED}

_ENDS = FINAL - {S.MISSED}

TRANSITIONS = Transitions(
    {
        S.PENDING: LIVE | _ENDS | {S.UNKNOWN, S.DEFERRED},
        S.DEFERRED: {S.PENDING, S.FAILED, S.CANCELLED},
        S.UNKNOWN: LIVE | _ENDS,
        S.QUEUED: {S.INITIATED, S.RINGING, S.IN_PROGRESS} | _ENDS,
        S.INITIATED: {S.RINGING, S.IN_PROGRESS} | _ENDS,
        S.RINGING: {S.IN_PROGRESS} | _ENDS,
        S.IN_PROGRESS: _ENDS,
        **{status: set() for status in FINAL},
    }
)

COLOURS = {
    S.PENDING: "info",
    S.DEFERRED: "warning",
    S.QUEUED: "info",
    S.INITIATED: "info",
    S.RINGING: "warning",
    S.IN_PROGRESS: "warning",
    S.COMPLETED: "success",
    S.BUSY: "danger",
    S.NO_ANSWER: "danger",
    S.FAILED: "danger",
    S.CANCELLED: "default",
    S.MISSED: "danger",
    S.UNKNOWN: "danger",
}
