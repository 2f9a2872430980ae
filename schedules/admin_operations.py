"""What an operator may do to schedules, in words; the services decide whether it can be done."""

from django import forms
from unfold.widgets import UnfoldBooleanWidget

from polaris.admin_confirmation import Operation
from schedules import services
from schedules.states import DELETABLE, TRANSITIONS, ScheduleStatus


class LiveCalls(forms.Form):
    """What becomes of calls that are under way."""

    hang_up = forms.BooleanField(
        required=False,
        label="Hang up",
        help_text="Ends a call that is being talked, too; without it that one goes on.",
        widget=UnfoldBooleanWidget,
    )


PAUSE = Operation(
    name="pause",
    label="Pause",
    done="Paused",
    icon="pause",
    consequence=(
        "No call is dialled until it is resumed; one that has been placed and not answered is "
        "cancelled at the carrier."
    ),
    act=services.pause,
    choices=LiveCalls,
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
    consequence=(
        "No further call, and no way back; one that has been placed and not answered is "
        "cancelled at the carrier."
    ),
    act=services.cancel,
    choices=LiveCalls,
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
