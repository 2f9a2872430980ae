"""The operators' pages about webhooks: what came in, and what became of it."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, FieldTextFilter
from unfold.decorators import display

from polaris.admin_site import (
    NOTHING,
    DaysFilter,
    ReadOnlyAdmin,
    Section,
    SectionAdmin,
    badge,
    link,
    mask_numbers,
    page_of,
    pretty_json,
    scheduler_zone,
    sees_whole_numbers,
)
from polaris.admin_words import moment_in_words
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
class WebhookEventAdmin(WebhookColumns, ReadOnlyAdmin):
    """The inbox: every signed webhook as it came."""

    list_display = ["received", "told", "result", "call_id", "attempt_id", "deliveries"]
    list_filter = [
        ("outcome", ChoicesCheckboxFilter),
        ("call_status", FieldTextFilter),
        ("received_at", DaysFilter),
    ]
    search_fields = ["id", "call_id", "attempt_id"]
    search_help_text = "The id of a webhook, a call's SID, or the id of a call log"

    def get_fieldsets(self, request: HttpRequest, obj: WebhookEvent | None = None) -> Any:
        payload = "raw_payload" if sees_whole_numbers(request) else "masked_payload"
        return [
            (
                None,
                {
                    "fields": [
                        "id", "told", "result", "received", "processed", "deliveries", "call_id",
                        "log_link", payload,
                    ]
                },
            )
        ]  # fmt: skip

    @display(description="Call log")
    def log_link(self, event: WebhookEvent) -> SafeString | str:
        found = Q(pk=event.attempt_id) if event.attempt_id else Q(call_id=event.call_id)
        log = CallLog.objects.filter(found).values_list("pk", flat=True).first()
        return link(page_of(CallLog, log), log) if log else event.attempt_id or NOTHING

    @display(description="Payload")
    def raw_payload(self, event: WebhookEvent) -> SafeString:
        return pretty_json(event.payload)

    @display(description="Payload")
    def masked_payload(self, event: WebhookEvent) -> SafeString:
        return pretty_json({key: mask_numbers(str(value)) for key, value in event.payload.items()})


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
