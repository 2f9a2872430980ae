"""The operators' pages about webhooks: what came in, and what became of it."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, FieldTextFilter
from unfold.decorators import display

from polaris.admin_numbers import RevealsNumbers
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
)
from polaris.admin_words import moment_in_words
from polaris.errors import Unreadable
from polaris.masking import mask_phone
from tracking.admin import CallLogAdmin
from tracking.models import CallLog
from webhooks.models import WebhookEvent

COLOURS = {
    WebhookEvent.Outcome.RECEIVED: "warning",
    WebhookEvent.Outcome.APPLIED: "success",
    WebhookEvent.Outcome.LATE: "default",
    WebhookEvent.Outcome.CREATED: "info",
    WebhookEvent.Outcome.CONFLICT: "danger",
    WebhookEvent.Outcome.IGNORED: "default",
}


class WebhookColumns:
    """How a webhook is shown in a list."""

    @display(description="Received", ordering="received_at")
    def received(self, event: WebhookEvent) -> str:
        return moment_in_words(event.received_at, scheduler_zone())

    @display(description="Told", ordering="call_status")
    def told(self, event: WebhookEvent) -> str:
        return event.call_status

    @display(description="Outcome", ordering="outcome")
    def result(self, event: WebhookEvent) -> SafeString:
        outcome = WebhookEvent.Outcome(event.outcome)
        return badge(outcome.label, COLOURS[outcome])

    @display(description="Processed", ordering="processed_at")
    def processed(self, event: WebhookEvent) -> str:
        moment = event.processed_at
        return moment_in_words(moment, scheduler_zone()) if moment else NOTHING


@admin.register(WebhookEvent)
class WebhookEventAdmin(RevealsNumbers, WebhookColumns, ReadOnlyAdmin):
    """The inbox: every signed webhook as it came."""

    list_display = ["received", "told", "result", "call_id", "attempt_id", "deliveries"]
    list_filter = [
        ("outcome", ChoicesCheckboxFilter),
        ("call_status", FieldTextFilter),
        ("received_at", DaysFilter),
    ]
    search_fields = ["id", "call_id", "attempt_id"]
    search_help_text = "The id of a webhook, a call's SID, or the id of a call log"
    actions_detail = ["reveal"]
    fields = [
        "id", "told", "result", "received", "processed", "deliveries", "call_id", "log_link",
        "payload_masked",
    ]  # fmt: skip

    @display(description="Call log")
    def log_link(self, event: WebhookEvent) -> SafeString | str:
        found = Q(pk=event.attempt_id) if event.attempt_id else Q(call_id=event.call_id)
        log = CallLog.objects.filter(found).values_list("pk", flat=True).first()
        return link(page_of(CallLog, log), log) if log else event.attempt_id or NOTHING

    @display(description="Payload")
    def payload_masked(self, event: WebhookEvent) -> SafeString | str:
        try:
            payload = event.payload
        except Unreadable:
            return "unreadable"
        return pretty_json(
            {
                key: mask_phone(value) if key in _NUMBERS and value.isdecimal() else value
                for key, value in payload.items()
            }
        )

    def revealed(self, event: WebhookEvent) -> str:
        """The payload as it came."""
        return "\n".join(f"{key}: {value}" for key, value in sorted(event.payload.items()))


# The fields of Twilio's that may hold a number written without its plus sign.
_NUMBERS = {"To", "From", "Called", "Caller", "ForwardedFrom"}


class WebhooksOfCallAdmin(WebhookColumns, SectionAdmin):
    """What a call's webhooks told, the latest first."""

    list_display = ["received", "told", "result", "deliveries"]

    def rows_of(self, rows: QuerySet[WebhookEvent], key: str) -> QuerySet[WebhookEvent]:
        """A webhook names the call by our attempt id, by its SID, or by both."""
        sids = CallLog.objects.filter(pk=key).exclude(call_id="").values("call_id")
        return rows.filter(Q(attempt_id=key) | Q(call_id__in=sids))


class WebhooksOfCall(Section):
    """A call's webhooks, on its page."""

    title = "Webhooks"
    model = WebhookEvent
    model_admin = WebhooksOfCallAdmin


CallLogAdmin.add_section(WebhooksOfCall)
