"""The operators' page about the gate: whether anything is dialled, and the buttons that stop it."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from polaris.admin_confirmation import NoChoices, dialog_form, go_to
from polaris.admin_site import NOTHING, ReadOnlyAdmin, badge, page_of, scheduler_zone, two_lines
from polaris.admin_words import distance_in_words, moment_in_words, span_in_words
from polaris.database import atomic
from polaris.repeating import repeated
from schedules import gate
from schedules.models import Gate
from schedules.waiting import Waiting, what_waits

STOP = "Stop all dialling"
DIAL_AGAIN = "Dial again"
_NO_REASON = "No reason was given."


class WhyStop(forms.Form):
    """Why an operator stops all dialling."""

    reason = forms.CharField(
        required=False,
        max_length=200,
        label="Why",
        help_text="Shown on the dashboard, and told to whoever is notified.",
        widget=UnfoldAdminTextInputWidget,
    )


@admin.register(Gate)
class GateAdmin(ReadOnlyAdmin):
    """The one gate: its list is its page."""

    actions_detail = ["stop", "dial_again"]
    fields = ["state", "why", "closed", "next_probe", "waiting"]

    @action(
        description=STOP,
        icon="block",
        permissions=["operate"],
        url_path="stop",
        dialog={
            "title": f"{STOP}?",
            "description": (
                "No runner dials until an operator says so. Calls that have been placed go on, "
                f"and what gets too late meanwhile is recorded as missed. {DIAL_AGAIN} ends it."
            ),
            "form_class": dialog_form(WhyStop),
            "form_submit_text": f"Yes, {STOP.lower()}",
        },
    )
    def stop(self, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
        """Close the gate until an operator opens it."""
        reason = form.cleaned_data["reason"] or _NO_REASON
        _stop(request, reason)
        self.message_user(request, "Nothing is dialled any more.", messages.SUCCESS)
        return go_to(request, _where_from(request))

    @action(
        description=DIAL_AGAIN,
        icon="call",
        permissions=["operate"],
        url_path="dial-again",
        dialog={
            "title": f"{DIAL_AGAIN}?",
            "description": "Runners dial what is due, at the pace that is set.",
            "form_class": dialog_form(NoChoices),
            "form_submit_text": f"Yes, {DIAL_AGAIN.lower()}",
        },
    )
    def dial_again(self, request: HttpRequest, form: forms.Form, object_id: str) -> HttpResponse:
        """Open the gate, whoever has closed it."""
        if _dial_again(request):
            self.message_user(request, "Calls are dialled again.", messages.SUCCESS)
        else:
            self.message_user(request, "Dialling had not been stopped.", messages.WARNING)
        return go_to(request, _where_from(request))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A halt of the carrier's can be taken over: then no call is tried any more."""
        now = gate.current()
        offered = {DIAL_AGAIN} if now.closed_since else set()
        offered |= set() if now.closed_by else {STOP}
        allowed = super().get_actions_detail(request, object_id)
        return [button for button in allowed if button.description in offered]

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may stop all dialling and let it go on."""
        return may_operate(request)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """The gate, also where it was never written: then it is open."""
        return gate.current() if object_id == Gate.CALLS else None

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one gate."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(page_of(Gate, Gate.CALLS))

    @display(description="State")
    def state(self, row: Gate) -> SafeString:
        return badge("closed", "danger") if row.closed_since else badge("open", "success")

    @display(description="Why")
    def why(self, row: Gate) -> str:
        return row.reason or NOTHING

    @display(description="Closed")
    def closed(self, row: Gate) -> SafeString | str:
        if row.closed_since is None:
            return NOTHING
        when = moment_in_words(row.closed_since, scheduler_zone())
        return two_lines(f"{closed_by_in_words(row)}, {when}", _ago(row))

    @display(description="Next try")
    def next_probe(self, row: Gate) -> str:
        return next_probe_in_words(row) or NOTHING

    @display(description="What waits")
    def waiting(self, row: Gate) -> str:
        return waiting_in_words(what_waits(timezone.now()))


def may_operate(request: HttpRequest) -> bool:
    """Whether the user may stop all dialling and let it go on."""
    return request.user.has_perm("schedules.change_gate")


def closed_by_in_words(row: Gate) -> str:
    """Who has closed the gate."""
    return f"by {row.closed_by}" if row.closed_by else "by the carrier's refusal"


def next_probe_in_words(row: Gate) -> str:
    """When one call is tried though the gate is closed; empty where it is open."""
    if row.closed_since is None:
        return ""
    if row.probe_at is None:
        return f"No call is tried until an operator lets it go on ({DIAL_AGAIN})."
    now = timezone.now()
    when = distance_in_words(row.probe_at, now) if row.probe_at > now else "as soon as one is due"
    tried = f" {row.probes} tried so far." if row.probes else ""
    return f"One call is tried {when}.{tried}"


def waiting_in_words(waiting: Waiting) -> str:
    """How many calls should have been dialled by now, and by how much the first is late."""
    if not waiting.count:
        return "No call is due."
    calls = "call is" if waiting.count == 1 else "calls are"
    return f"{waiting.count} {calls} due and not dialled, by {span_in_words(waiting.late)} at most."


def _ago(row: Gate) -> str:
    return distance_in_words(row.closed_since, timezone.now()) if row.closed_since else ""


@repeated
def _stop(request: HttpRequest, reason: str) -> None:
    with atomic():
        gate.close(reason, by=request.user.get_username())
        _record(request, f"{STOP}: {reason}")


@repeated
def _dial_again(request: HttpRequest) -> bool:
    """Whether it had been stopped."""
    with atomic():
        was_closed = gate.reopen(by=request.user.get_username())
        if was_closed:
            _record(request, DIAL_AGAIN)
    return was_closed


def _record(request: HttpRequest, words: str) -> None:
    actor: Any = request.user.pk
    row = [gate.current()]
    LogEntry.objects.log_actions(actor, row, CHANGE, change_message=words, single_object=True)


def _where_from(request: HttpRequest) -> str:
    """Back to the dashboard, where the button was pressed there."""
    dashboard = reverse("admin:index")
    pressed_on = urlsplit(request.headers.get("HX-Current-URL", "")).path
    return dashboard if pressed_on == dashboard else page_of(Gate, Gate.CALLS)
