"""The operators' pages about schedules, their armed calls and the runners."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import BaseExpression
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, FieldTextFilter, RadioFilter
from unfold.decorators import display

from polaris import admin_accounts  # noqa: F401 (registers itself)
from polaris.access import owner_id
from polaris.admin_confirmation import OperationsMixin, detail_action, list_action
from polaris.admin_numbers import RevealsNumbers, SearchedByNumber
from polaris.admin_site import (
    NOTHING,
    DaysFilter,
    PolarisAdmin,
    ReadOnlyAdmin,
    badge,
    link,
    may_view,
    page_of,
    scheduler_zone,
    two_lines,
)
from polaris.admin_words import clock_in_words, distance_in_words, moment_in_words
from polaris.audit.admin import HistoryOfSchedule
from polaris.errors import PolarisError
from polaris.masking import mask_numbers
from schedules import (
    admin_gate,  # noqa: F401 (registers itself)
    admin_housekeeping,  # noqa: F401 (registers itself)
    services,
)
from schedules.admin_form import REPETITION, ScheduleForm
from schedules.admin_operations import CALL_NOW, CANCEL, DELETE, PAUSE, RESUME
from schedules.admin_policies import RETRIES, WINDOW
from schedules.admin_preview import preview_of_form
from schedules.admin_words import moment_of, repetition_in_words, retries_in_words, window_in_words
from schedules.models import ActiveSchedule, CallSchedule, Runner
from schedules.states import COLOURS, DELETABLE, EDITABLE, ScheduleStatus

ARMED_COLOURS = {"scheduled": "info", "pending": "warning", "running": "warning"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a room above adds to the list of schedules, shown to whoever holds `model`'s
    view permission. `annotations` are added to the list's query: no query a row."""

    show: Callable[[CallSchedule], object]
    annotations: dict[str, BaseExpression]
    model: type[Any]


class RepeatsFilter(RadioFilter):
    """One-time or recurring."""

    title = "repetition"
    parameter_name = "repeats"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("once", "one-time"), ("again", "recurring")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        recurring = Q(repeat_config__enabled=True)
        match self.value():
            case "once":
                again = CallSchedule.objects.filter(recurring)
                return queryset.exclude(pk__in=again.values("pk"))
            case "again":
                return queryset.filter(recurring)
        return queryset


@admin.register(CallSchedule)
class CallScheduleAdmin(RevealsNumbers, SearchedByNumber, OperationsMixin, PolarisAdmin):
    """Schedules: written through the services alone, acted on with a confirmation.

    Rooms above add what they know of a schedule with `add_column` and `add_section`."""

    form = ScheduleForm
    change_form_after_template = "admin/schedules/preview_panel.html"
    operations = (PAUSE, RESUME, CANCEL, CALL_NOW, DELETE)
    actions = [list_action(operation) for operation in operations]
    actions_detail = ["pause", "resume", "call_now", "cancel", "reveal"]
    pause = detail_action(PAUSE)
    resume = detail_action(RESUME)
    call_now = detail_action(CALL_NOW)
    cancel = detail_action(CANCEL)

    list_filter = [
        ("status", ChoicesCheckboxFilter),
        RepeatsFilter,
        ("agent_instance_id", FieldTextFilter),
        ("created_at", DaysFilter),
    ]
    search_fields = ["id", "description"]
    search_help_text = "An id, a whole phone number, or words of the description"
    columns: ClassVar[tuple[Column, ...]] = ()
    conditional_fields = {
        "every": "repeats && repeats != 'cron' && repeats != 'rrule'",
        "cron": "repeats == 'cron'",
        "rrule": "repeats == 'rrule'",
        "weekdays": "repeats == 'weekly'",
        "month_end": "repeats == 'monthly' || repeats == 'yearly'",
        "ends_on": "repeats && repeats != 'rrule'",
        "count": "repeats && repeats != 'rrule'",
        "gap": "repeats && repeats != 'hourly'",
        "skip_holidays": "repeats",
        "exdates": "repeats",
        "window_days": "window_start || window_end",
        "window_zone": "window_start || window_end",
    }

    @classmethod
    def add_column(cls, column: Column) -> None:
        """Show `column` in the list."""
        cls.columns = (*cls.columns, column)

    # -- the list --------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[CallSchedule]:
        rows = super().get_queryset(request).with_next_execution()
        for column in self.columns:
            rows = rows.annotate(**column.annotations)
        return rows

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        added = [column.show for column in self.columns if may_view(request, column.model)]
        return ["name", "state", "masked_phone", "next_call", "repetition", *added]

    @display(description="Schedule", ordering="description")
    def name(self, schedule: CallSchedule) -> SafeString | str:
        if not schedule.description:
            return schedule.pk
        return two_lines(Truncator(str(schedule)).chars(50), schedule.pk)

    @display(description="State", ordering="status")
    def state(self, schedule: CallSchedule) -> SafeString:
        return self.badge_of(schedule)

    @display(description="Next call", ordering=F("next_execution").asc(nulls_last=True))
    def next_call(self, schedule: CallSchedule) -> SafeString | str:
        moment: datetime | None = getattr(schedule, "next_execution", None)
        if moment is None:
            return NOTHING
        return two_lines(moment_of(schedule, moment), distance_in_words(moment, timezone.now()))

    @display(description="Repeats")
    def repetition(self, schedule: CallSchedule) -> SafeString:
        words = repetition_in_words(schedule.repeat_config)
        return format_html('<span style="display: block; min-width: 9rem">{}</span>', words)

    @display(description="Created", ordering="created_at")
    def created(self, schedule: CallSchedule) -> str:
        return moment_in_words(schedule.created_at, scheduler_zone())

    def badge_of(self, schedule: CallSchedule) -> SafeString:
        """The state as a badge, also on the page that confirms an action."""
        return badge(schedule.get_status_display(), COLOURS[ScheduleStatus(schedule.status)])

    # -- the page --------------------------------------------------------------------------------
    def get_fieldsets(self, request: HttpRequest, obj: CallSchedule | None = None) -> Any:
        if obj is None:
            return _FORM
        if not self.has_change_permission(request, obj):
            return [("Now", {"fields": _NOW}), *_SHOWN, _RECORD]
        return [("Now", {"fields": _NOW}), *_FORM, _RECORD]

    def get_readonly_fields(
        self, request: HttpRequest, obj: CallSchedule | None = None
    ) -> list[str]:
        return [*_NOW, *_RECORD[1]["fields"]] if obj else []

    @display(description="State")
    def state_and_reason(self, schedule: CallSchedule) -> SafeString:
        remark = schedule.status_reason
        if schedule.status in {ScheduleStatus.PENDING, ScheduleStatus.RUNNING}:
            remark = remark or "Its call is being placed: it can be edited when that is over."
        return two_lines(self.badge_of(schedule), remark)

    @display(description="First call")
    def first_call(self, schedule: CallSchedule) -> str:
        return moment_of(schedule, schedule.scheduled_time)

    @display(description="Notes")
    def shown_notes(self, schedule: CallSchedule) -> str:
        return mask_numbers(schedule.notes) or NOTHING if schedule.is_readable else "unreadable"

    @display(description="Calling hours")
    def calling_hours(self, schedule: CallSchedule) -> str:
        return window_in_words(schedule.calling_window)

    @display(description="Retries")
    def retries(self, schedule: CallSchedule) -> str:
        return retries_in_words(schedule.retry_policy)

    @display(description="Due while the last call goes on")
    def overlap_in_words(self, schedule: CallSchedule) -> str:
        return schedule.get_overlap_display()

    @display(description="Changed")
    def changed(self, schedule: CallSchedule) -> str:
        return moment_in_words(schedule.last_updated, scheduler_zone())

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ScheduleForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = getattr(request, "refusal", None)
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A refusal that comes only when it is written is shown on the form all the same."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except PolarisError as refusal:
            request.refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(
        self, request: HttpRequest, obj: CallSchedule, form: ScheduleForm, change: bool
    ) -> None:
        if change:
            obj.revision = form.cleaned_data["read_revision"] or obj.revision
            services.change_schedule(obj, plan=form.plan, **form.texts)
            return
        created = services.create_schedule(
            plan=form.plan, created_by=owner_id(request.user), **form.texts
        )
        obj.pk = created.pk
        obj.refresh_from_db()

    def get_urls(self) -> list[Any]:
        guarded, name = self.admin_site.admin_view, "schedules_callschedule_preview"
        return [
            path("add/preview/", guarded(self.preview_view), name=name),
            path("<path:object_id>/preview/", guarded(self.preview_view), name=f"{name}_change"),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
        """When the posted form would call."""
        schedule = self.get_object(request, unquote(object_id)) if object_id else None
        if object_id and schedule is None:
            raise Http404
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if schedule is None:
            permitted = self.has_add_permission(request)
        else:
            permitted = self.has_change_permission(request, schedule)
        if not permitted:
            raise PermissionDenied
        form = self.get_form(request, schedule, change=schedule is not None)
        return preview_of_form(request, form(request.POST, instance=schedule))

    # -- deleting --------------------------------------------------------------------------------
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except PolarisError as refusal:
            self.message_user(request, refusal.issue, messages.ERROR)
            return HttpResponseRedirect(page_of(CallSchedule, unquote(object_id)))

    def delete_model(self, request: HttpRequest, obj: CallSchedule) -> None:
        services.delete_schedule(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CallSchedule]) -> None:
        for schedule in queryset:
            services.delete_schedule(schedule)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The schedules alone: what they have armed goes with them, whoever asks."""
        return [str(schedule) for schedule in objs], {"schedules": len(objs)}, set(), []

    # -- who may ---------------------------------------------------------------------------------
    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may pause, resume, cancel and call now."""
        return request.user.has_perm("schedules.change_callschedule")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        permitted = super().has_change_permission(request, obj)
        return permitted and _is_open(request, obj, EDITABLE) and (obj is None or obj.is_readable)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        permitted = super().has_delete_permission(request, obj)
        return permitted and _is_open(request, obj, DELETABLE)


def _is_open(request: HttpRequest, obj: Any, states: Collection[str]) -> bool:
    """Whether the page is offered. What is posted goes to the service, which says why not."""
    return request.method == "POST" or obj is None or obj.status in states


_NOW = ["state_and_reason", "next_call"]
_FORM: list[Any] = [
    (
        "Whom to call",
        {"fields": ["phone", "description", "notes", ("user_profile_id", "agent_instance_id")]},
    ),
    ("When", {"fields": ["scheduled_time", "timezone"]}),
    ("Repetition", {"fields": [*REPETITION, "read_revision"]}),
    ("Calling hours", {"fields": [WINDOW[:2], *WINDOW[2:]]}),
    ("Retries and overlap", {"fields": [*RETRIES, "overlap"]}),
]
# Of a page on which nothing can be edited.
_WHO = ["masked_phone", "description", "shown_notes", "user_profile_id", "agent_instance_id"]
_SHOWN: list[Any] = [
    ("Whom to call", {"fields": _WHO}),
    ("When", {"fields": ["first_call", "repetition", "calling_hours"]}),
    ("Afterwards", {"fields": ["retries", "overlap_in_words"]}),
]
_RECORD: Any = (
    "Record",
    {"fields": ["id", "created_by", "created", "changed", "call_id", "duration"]},
)


CallScheduleAdmin.add_section(HistoryOfSchedule)


@admin.register(ActiveSchedule)
class ActiveScheduleAdmin(SearchedByNumber, ReadOnlyAdmin):
    """What is armed: the calls to come, the earliest first."""

    list_display = ["due", "schedule_link", "state", "waits", "claim", "origin", "attempt"]
    list_filter = [("status", ChoicesCheckboxFilter), ("next_execution", DaysFilter)]
    list_select_related = ["schedule"]
    search_fields = ["id", "job_id", "runner_id", "schedule__id"]
    search_help_text = "The id of a schedule, a job or a runner, or a whole phone number"
    lookup_path = "schedule__phone_lookup"
    ordering = [F("next_execution").asc(nulls_last=True), "id"]
    fields = [
        "id", "schedule_link", "state", "due", "nominal", "attempt", "origin", "waits", "asked",
        "next_look", "claim", "job_id",
    ]  # fmt: skip

    @display(description="Due", ordering=F("next_execution").asc(nulls_last=True))
    def due(self, armed: ActiveSchedule) -> SafeString | str:
        if armed.next_execution is None:
            return "waits for a resume"
        when = moment_of(armed.schedule, armed.due_at)
        return two_lines(when, distance_in_words(armed.due_at, timezone.now()))

    @display(description="Waits for")
    def waits(self, armed: ActiveSchedule) -> SafeString | str:
        if not armed.waits_for or armed.next_execution is None:
            return NOTHING
        again = f"looked at {distance_in_words(armed.next_execution, timezone.now())}"
        asked = f", refused {armed.asked} times" if armed.asked > 1 else ""
        return two_lines(armed.waits_for, again + asked)

    @display(description="Looked at next")
    def next_look(self, armed: ActiveSchedule) -> str:
        moment = armed.next_execution
        return moment_of(armed.schedule, moment) if moment else NOTHING

    @display(description="Schedule", ordering="schedule__description")
    def schedule_link(self, armed: ActiveSchedule) -> SafeString:
        name = Truncator(str(armed.schedule)).chars(60)
        return link(page_of(CallSchedule, armed.schedule_id), name)

    @display(description="State", ordering="status")
    def state(self, armed: ActiveSchedule) -> SafeString:
        return badge(armed.get_status_display(), ARMED_COLOURS.get(armed.status, "default"))

    @display(description="Claim")
    def claim(self, armed: ActiveSchedule) -> str:
        if not armed.runner_id or armed.leased_until is None:
            return "free"
        until = clock_in_words(armed.leased_until, scheduler_zone())
        if armed.leased_until < timezone.now():
            return f"claim of {armed.runner_id} ran out at {until}"
        return f"claimed by {armed.runner_id} until {until}"

    @display(description="Nominal time")
    def nominal(self, armed: ActiveSchedule) -> str:
        return moment_of(armed.schedule, armed.occurrence)


@admin.register(Runner)
class RunnerAdmin(ReadOnlyAdmin):
    """The processes that dial, as they tell of themselves: runners, and workers of Celery."""

    list_display = [
        "name",
        "role",
        "alive",
        "version",
        "in_hand",
        "started",
        "last_seen",
        "stopped",
    ]
    fields = ["name", "id", *list_display[1:], "trouble"]
    search_fields = ["id", "host"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Runner]:
        return super().get_queryset(request).with_calls_in_hand()

    @display(description="Calls in hand")
    def in_hand(self, runner: Any) -> str:
        """Claims are their runner's, whoever dials them."""
        is_runner = runner.role == Runner.Role.RUNNER
        return str(runner.calls_in_hand) if is_runner else NOTHING

    @display(description="Host and process", ordering="host")
    def name(self, runner: Runner) -> str:
        return str(runner)

    @display(description="Alive")
    def alive(self, runner: Runner) -> SafeString:
        if runner.is_alive:
            return badge("in trouble", "danger") if runner.trouble else badge("alive", "success")
        return badge("silent", "danger") if runner.stopped_at is None else badge("stopped", "")

    @display(description="Started", ordering="started_at")
    def started(self, runner: Runner) -> str:
        return moment_in_words(runner.started_at, scheduler_zone())

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, runner: Runner) -> str:
        return distance_in_words(runner.last_seen_at, timezone.now())

    @display(description="Stopped", ordering="stopped_at")
    def stopped(self, runner: Runner) -> str:
        stopped = runner.stopped_at
        return moment_in_words(stopped, scheduler_zone()) if stopped else NOTHING
