"""The operators' pages about calls and notifications: what happened, and why."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, FieldTextFilter, RadioFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from polaris.admin_confirmation import Operation, OperationsMixin, detail_action, list_action
from polaris.admin_numbers import RevealsNumbers, SearchedByNumber
from polaris.admin_site import (
    NOTHING,
    DaysFilter,
    ReadOnlyAdmin,
    Section,
    SectionAdmin,
    badge,
    link,
    page_of,
    pretty_json,
    scheduler_zone,
    two_lines,
)
from polaris.admin_words import (
    distance_in_words,
    lateness_in_words,
    moment_in_words,
    wall_in_words,
)
from polaris.errors import IllegalTransition, Unreadable
from polaris.masking import mask_numbers
from schedules.admin import CallScheduleAdmin, Column
from schedules.models import CallSchedule
from tracking import by_hand
from tracking.admin_story import story_of, zone_of
from tracking.explaining import Explained, around, explain
from tracking.models import CallLog, Notification
from tracking.notifications import outbox
from tracking.states import COLOURS, UNSETTLED, CallStatus

NEEDED = "needed"
NOTIFICATION_COLOURS = {"waiting": "info", "sent": "success", "failed": "danger"}


class CallLogColumns:
    """How a call is shown in a list."""

    @display(description="State", ordering="status")
    def state(self, log: CallLog) -> SafeString:
        return call_badge(log.status)

    @display(description="Nominal time", ordering="occurrence")
    def nominal(self, log: CallLog) -> SafeString:
        moment = log.occurrence or log.timestamp
        return two_lines(moment_in_words(moment, zone_of(log, scheduler_zone())), log.pk)

    @display(description="Lateness")
    def late(self, log: CallLog) -> str:
        return lateness_in_words(log.lateness) or NOTHING

    @display(description="Talked", ordering="duration")
    def talked(self, log: CallLog) -> str:
        return NOTHING if log.duration is None else f"{log.duration} s"

    @display(description="Why")
    def reason(self, log: CallLog) -> str:
        return Truncator(log.attention or log.error_message).chars(80) or NOTHING


class AttentionFilter(RadioFilter):
    """Calls at which somebody should look."""

    title = "attention"
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(NEEDED, "needs attention")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != NEEDED:
            return queryset
        return queryset.needing_attention()  # type: ignore[attr-defined]


class WhatWasFound(forms.Form):
    """Why an operator settles a call by hand."""

    reason = forms.CharField(
        required=False,
        max_length=500,
        label="What was found",
        help_text="Such as: not in Twilio's list of calls. It stands in the call's log.",
        widget=UnfoldAdminTextInputWidget,
    )


SETTLE = Operation(
    name="settle_as_failed",
    label="Settle as failed",
    done="Settled as failed",
    icon="gavel",
    consequence=(
        "For a call that you have looked up at the carrier. Its number is free again and its "
        "schedule goes on; this call is not dialled again."
    ),
    act=by_hand.settle_as_failed,
    permission="settle",
    offered_in=frozenset({CallStatus.UNKNOWN}),
    choices=WhatWasFound,
    names_actor=True,
)
ASK = Operation(
    name="ask_now",
    label="Ask the carrier now",
    done="Asking for",
    icon="contact_support",
    consequence="A runner asks the carrier within seconds what became of it.",
    act=by_hand.ask_now,
    permission="settle",
    offered_in=by_hand.ASKABLE,
)


@admin.register(CallLog)
class CallLogAdmin(
    RevealsNumbers, SearchedByNumber, OperationsMixin, CallLogColumns, ReadOnlyAdmin
):
    """The ledger. Nobody edits it; a call of which nobody knows is settled by hand."""

    operations = (SETTLE, ASK)
    actions = [list_action(operation) for operation in operations]
    actions_detail = ["settle_as_failed", "ask_now", "reveal"]
    settle_as_failed = detail_action(SETTLE)
    ask_now = detail_action(ASK)

    list_display = [
        "nominal", "state", "schedule_link", "masked_phone", "late", "talked", "reason",
    ]  # fmt: skip
    list_filter = [
        ("status", ChoicesCheckboxFilter),
        AttentionFilter,
        ("timestamp", DaysFilter),
        ("agent_instance_id", FieldTextFilter),
    ]
    list_select_related = ["schedule"]
    search_fields = ["id", "call_id", "schedule__id"]
    search_help_text = "The id of a call, its SID, the id of its schedule, or a whole phone number"

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallLog]:
        # A left join: a schedule that has been deleted is None, and no query a row.
        return super().get_queryset(request).select_related("schedule")

    def get_fieldsets(self, request: HttpRequest, obj: CallLog | None = None) -> Any:
        return [
            ("What happened", {"fields": ["state", "story"]}),
            (
                "The call",
                {
                    "fields": [
                        "schedule_link", "masked_phone", "call_id", "nominal", "due", "late",
                        "talked",
                    ]
                },
            ),
            ("What comes next", {"fields": ["next_check", "stopping", "attention"]}),
            (
                "Record",
                {
                    "fields": [
                        "id", "attempt", "call_type", "created_by", "user_profile_id",
                        "agent_instance_id", "shown_notes", "error_code", "details",
                    ]
                },
            ),
        ]  # fmt: skip

    @display(description="Due")
    def due(self, log: CallLog) -> str:
        return (
            moment_in_words(log.due_at, zone_of(log, scheduler_zone())) if log.due_at else NOTHING
        )

    @display(description="The carrier is asked")
    def next_check(self, log: CallLog) -> str:
        moment = log.next_check_at
        if moment is None or log.status not in UNSETTLED:
            return NOTHING
        now = timezone.now()
        return distance_in_words(moment, now) if moment > now else "now"

    @display(description="Stopping")
    def stopping(self, log: CallLog) -> str:
        return log.get_stop_display() if log.stop else NOTHING

    @display(description="Story")
    def story(self, log: CallLog) -> SafeString:
        sentences = story_of(log, zone_of(log, scheduler_zone()))
        return format_html_join("", '<p class="mb-1">{}</p>', ((each,) for each in sentences))

    @display(description="Schedule")
    def schedule_link(self, log: CallLog) -> SafeString | str:
        if log.schedule_id is None:
            return "none: the carrier told us of it"
        if log.schedule is None:
            return f"{log.schedule_id} (deleted)"
        name = Truncator(str(log.schedule)).chars(60)
        return link(page_of(CallSchedule, log.schedule_id), name)

    @display(description="Notes")
    def shown_notes(self, log: CallLog) -> str:
        try:
            return mask_numbers(log.notes) or NOTHING
        except Unreadable:
            return "unreadable"

    @display(description="Details")
    def details(self, log: CallLog) -> SafeString:
        return pretty_json(log.metadata)

    def badge_of(self, log: CallLog) -> SafeString:
        """The state as a badge, also on the page that confirms an action."""
        return call_badge(log.status)

    def has_settle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may settle calls by hand, and have the carrier asked."""
        return request.user.has_perm("tracking.change_calllog")


class CallsOfScheduleAdmin(CallLogColumns, SectionAdmin):
    """A schedule's calls, the latest first."""

    list_display = ["nominal", "state", "late", "talked", "reason"]

    def rows_of(self, rows: QuerySet[CallLog], key: str) -> QuerySet[CallLog]:
        return rows.filter(schedule_id=key).select_related("schedule")


class CallsOfSchedule(Section):
    """A schedule's calls, on its page."""

    title = "Calls"
    model = CallLog
    model_admin = CallsOfScheduleAdmin


class OccurrencesOfSchedule(Section):
    """Why a schedule's last and next occurrences were, or will be, called or not: on its page."""

    title = "Occurrences, and why"
    model = CallLog
    model_admin = CallsOfScheduleAdmin
    last, next = 10, 5

    @property
    def contents(self) -> SafeString:
        """The table, drawn without a form: there is nothing to do in it."""
        key = unquote(str((self.extra_context or {})["object"]))
        schedule = CallSchedule.objects.filter(pk=key).first()
        if schedule is None:
            return SafeString()
        return render_to_string(
            "admin/tracking/occurrences.html", {"title": self.title, "table": self._table(schedule)}
        )

    def _table(self, schedule: CallSchedule) -> dict[str, Any]:
        now = timezone.now()
        slots = around(schedule, now=now, before=self.last, after=self.next)
        return {
            "headers": ["On the schedule's clock", "What became of it", "Why"],
            "rows": [
                [_clock(each, schedule), outcome_badge(each.outcome), each.reason]
                for each in reversed(explain(schedule, slots, now=now))
            ],
        }


def _clock(explained: Explained, schedule: CallSchedule) -> str:
    at = explained.occurrence
    return moment_in_words(at, schedule.zone) if at else wall_in_words(explained.local)


def outcome_badge(outcome: str) -> SafeString:
    """What became of an occurrence, as a badge."""
    if outcome in CallStatus.values and outcome != CallStatus.CANCELLED:
        return call_badge(outcome)
    return badge(outcome, _OUTCOME_COLOURS.get(outcome, "default"))


_OUTCOME_COLOURS = {"planned": "info", "waiting": "warning"}


@display(description="Last call")
def last_call(schedule: Any) -> SafeString | str:
    """What became of the schedule's latest call."""
    return call_badge(schedule.last_call_status) if schedule.last_call_status else NOTHING


def call_badge(status: str) -> SafeString:
    """A call's state as a badge."""
    state = CallStatus(status)
    return badge(state.label, COLOURS[state])


_calls = CallLog.objects.filter(schedule_id=OuterRef("pk")).order_by("-occurrence", "-attempt")

CallScheduleAdmin.add_section(OccurrencesOfSchedule)
CallScheduleAdmin.add_section(CallsOfSchedule)
CallScheduleAdmin.add_column(
    Column(
        show=last_call,
        annotations={"last_call_status": Subquery(_calls.values("status")[:1])},
        model=CallLog,
    )
)


def send_again(notification: Notification) -> None:
    """Let a failed notification wait again. Raises IllegalTransition for any other."""
    if not outbox.resend(Notification.objects.filter(pk=notification.pk)):
        raise IllegalTransition("Only a notification that has failed is sent again.")


SEND_AGAIN = Operation(
    name="send_again",
    label="Send again",
    done="Put back into the outbox",
    icon="outgoing_mail",
    consequence="It waits in the outbox again, with every attempt before it.",
    act=send_again,
    permission="send",
    offered_in=frozenset({Notification.Status.FAILED}),
)


@admin.register(Notification)
class NotificationAdmin(OperationsMixin, ReadOnlyAdmin):
    """The outbox: what has been told to whom, and what could not be."""

    operations = (SEND_AGAIN,)
    actions = [list_action(SEND_AGAIN)]
    actions_detail = ["send_again"]
    send_again = detail_action(SEND_AGAIN)

    list_display = ["name", "state", "channel", "attempts", "created", "next_attempt", "problem"]
    list_filter = [
        ("status", ChoicesCheckboxFilter),
        ("event", FieldTextFilter),
        ("channel", FieldTextFilter),
        ("created_at", DaysFilter),
    ]
    search_fields = ["id", "event_id", "event"]
    search_help_text = "The id of a notification or of its event, or the event's name"
    fields = [
        "id", "name", "state", "channel", "attempts", "created", "next_attempt", "sent",
        "last_error", "event_id", "details",
    ]  # fmt: skip

    @display(description="Event", ordering="event")
    def name(self, notification: Notification) -> str:
        return notification.event

    @display(description="State", ordering="status")
    def state(self, notification: Notification) -> SafeString:
        return self.badge_of(notification)

    def badge_of(self, notification: Notification) -> SafeString:
        """The state as a badge, also on the page that confirms an action."""
        colour = NOTIFICATION_COLOURS[notification.status]
        return badge(notification.get_status_display(), colour)

    @display(description="Created", ordering="created_at")
    def created(self, notification: Notification) -> str:
        return moment_in_words(notification.created_at, scheduler_zone())

    @display(description="Next attempt", ordering="next_attempt_at")
    def next_attempt(self, notification: Notification) -> str:
        moment = notification.next_attempt_at
        if notification.status != Notification.Status.WAITING or moment is None:
            return NOTHING
        now = timezone.now()
        return distance_in_words(moment, now) if moment > now else "due"

    @display(description="Sent", ordering="sent_at")
    def sent(self, notification: Notification) -> str:
        sent_at = notification.sent_at
        return moment_in_words(sent_at, scheduler_zone()) if sent_at else NOTHING

    @display(description="What went wrong")
    def problem(self, notification: Notification) -> str:
        return Truncator(notification.last_error).chars(80) or NOTHING

    @display(description="Payload")
    def details(self, notification: Notification) -> SafeString | str:
        try:
            return pretty_json(notification.payload)
        except Unreadable:
            return "unreadable"

    def has_send_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may send notifications again."""
        return request.user.has_perm("tracking.change_notification")
