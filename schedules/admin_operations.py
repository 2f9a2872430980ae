"""What an operator may do to schedules, in words; the services decide whether it can be done."""

from polaris.admin_confirmation import Operation
from schedules import services
from schedules.states import DELETABLE, TRANSITIONS, ScheduleStatus

PAUSE = Operation(
    name="pause",
    label="Pause",
    done="Paused",
    icon="pause",
    consequence="No call is dialled until it is resumed; a call already placed goes on.",
    act=services.pause,
    permission="operate",
    offered_in=TRANSITIONS.sources(ScheduleStatus.PAUSED),
)
RESUME = Operation(
    name="resume",
    label="Resume",
    done="Resumed",
    icon="play_arrow",
    consequence="The next call is armed; what fell into the pause is not dialled.",
    act=services.resume,
    permission="operate",
    offered_in=frozenset({ScheduleStatus.PAUSED}),
)
CALL_NOW = Operation(
    name="call_now",
    label="Call now",
    done="Dialling",
    icon="call",
    consequence=(
        "Dials at once. A one-time call is brought forward; a recurring schedule gets an extra "
        "call and keeps its times."
    ),
    act=services.call_now,
    permission="operate",
    offered_in=frozenset({ScheduleStatus.SCHEDULED}),
)
CANCEL = Operation(
    name="cancel",
    label="Cancel for good",
    done="Cancelled",
    icon="cancel",
    consequence="No further call, and no way back; a call already placed goes on.",
    act=services.cancel,
    permission="operate",
    offered_in=TRANSITIONS.sources(ScheduleStatus.CANCELLED),
)
DELETE = Operation(
    name="delete",
    label="Delete",
    done="Deleted",
    icon="delete",
    consequence="The schedule and what it has armed are removed; the logs of its calls stay.",
    act=services.delete_schedule,
    permission="delete",
    offered_in=DELETABLE,
    deletes=True,
)
