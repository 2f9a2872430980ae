"""The states of a schedule, and which may follow which."""

from django.db.models import TextChoices

from polaris.states import Transitions


class ScheduleStatus(TextChoices):
    """A schedule's states, in the contract's words."""

    CREATED = "created", "created"
    SCHEDULED = "scheduled", "scheduled"
    PENDING = "pending", "pending"
    RUNNING = "running", "running"
    COMPLETED = "completed", "completed"
    FAILED = "failed", "failed"
    PAUSED = "paused", "paused"
    CANCELLED = "cancelled", "cancelled"


S = ScheduleStatus

TRANSITIONS = Transitions(
    {
        S.CREATED: {S.SCHEDULED, S.CANCELLED},
        S.SCHEDULED: {S.PENDING, S.RUNNING, S.PAUSED, S.CANCELLED, S.COMPLETED, S.FAILED},
        # A claim can be given back, or its occurrence recorded as missed.
        S.PENDING: {S.SCHEDULED, S.RUNNING, S.PAUSED, S.CANCELLED, S.COMPLETED, S.FAILED},
        S.RUNNING: {S.SCHEDULED, S.PAUSED, S.CANCELLED, S.COMPLETED, S.FAILED},
        S.PAUSED: {S.SCHEDULED, S.CANCELLED},
        S.COMPLETED: set(),
        S.FAILED: set(),
        S.CANCELLED: set(),
    }
)

FINAL = TRANSITIONS.final
EDITABLE = frozenset({S.CREATED, S.SCHEDULED, S.PAUSED})
DELETABLE = EDITABLE | FINAL
IN_HAND = frozenset({S.PENDING, S.RUNNING})
DIALLABLE = IN_HAND | {S.SCHEDULED}

COLOURS = {
    S.CREATED: "info",
    S.SCHEDULED: "info",
    S.PENDING: "warning",
    S.RUNNING: "warning",
    S.COMPLETED: "success",
    S.FAILED: "danger",
    S.PAUSED: "default",
    S.CANCELLED: "default",
}


class ArmedStatus(TextChoices):
    """The states of an armed occurrence."""

    SCHEDULED = "scheduled", "scheduled"  # waits for its time
    PENDING = "pending", "pending"  # claimed by a runner
    RUNNING = "running", "running"  # its ledger row is open, the carrier has not answered
    PAUSED = "paused", "paused"  # waits for a resume
