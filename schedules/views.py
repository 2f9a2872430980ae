"""The API of schedules. Views translate; schedules.services decides."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from polaris.access import agent_for, owner_id, visible_to
from polaris.moments import show_utc
from polaris.querying import read_number, refuse_unknown
from schedules import services
from schedules.filters import ActiveScheduleFilterSet, ScheduleFilterSet
from schedules.models import ActiveSchedule, CallSchedule
from schedules.planning import Plan, make_plan
from schedules.preview import MOST_OCCURRENCES, preview
from schedules.serializers import (
    ActiveScheduleSerializer,
    LiveCallsInput,
    PreviewAnswer,
    PreviewInput,
    ScheduleAnswer,
    ScheduleInput,
    ScheduleSerializer,
)
from schedules.states import FINAL
from schedules.timetable import Timetable

_WHOLE, _PART = ScheduleInput(), ScheduleInput(partial=True)
_TEXTS = ("description", "notes", "user_profile_id", "agent_instance_id")
_RIGHTS = {"list": "view", "retrieve": "view", "preview_of": "view", "destroy": "delete"}
_PLANNED = (
    "phone",
    "scheduled_time",
    "timezone",
    "repeat_config",
    "calling_window",
    "retry_policy",
    "overlap",
)


_OCCURRENCES = OpenApiParameter(
    "occurrences",
    {"type": "integer", "minimum": 1, "maximum": MOST_OCCURRENCES, "default": 10},
    description="How many calls to show.",
)


class ScheduleViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[CallSchedule]):
    """Whom to call, and when."""

    serializer_class = ScheduleSerializer
    filterset_class = ScheduleFilterSet
    ordering_fields = ("scheduled_time", "created_at", "last_updated", "status")
    queryset = CallSchedule.objects.none()
    lookup_url_kwarg = "schedule_id"  # OPTIONS looks a PUT's schedule up by it

    def get_queryset(self) -> QuerySet[CallSchedule]:
        """The schedules that exist for this user."""
        rows = CallSchedule.objects.with_next_execution()
        return visible_to(self.request, rows, right=_RIGHTS.get(self.action, "change"))

    @extend_schema(request=ScheduleInput, responses={200: ScheduleAnswer})
    def create(self, request: Request) -> Response:
        """Schedule a call, or a series of calls."""
        asked = _read(request)
        texts = _texts(request, asked)
        plan = _plan(asked)
        schedule = services.create_schedule(plan=plan, created_by=owner_id(request.user), **texts)
        return _answer(schedule.pk, "Call scheduled successfully", show_utc(plan.first))

    @extend_schema(responses={200: ScheduleSerializer})
    def retrieve(self, request: Request, schedule_id: str) -> Response:
        """One schedule."""
        return Response(self.get_serializer(self._named(schedule_id)).data)

    @extend_schema(request=ScheduleInput, responses={200: ScheduleAnswer})
    def update(self, request: Request, schedule_id: str) -> Response:
        """Replace a schedule; what is not sent gets its default."""
        return self._change(self._named(schedule_id), _read(request), request)

    @extend_schema(request=ScheduleInput(partial=True), responses={200: ScheduleAnswer})
    def partial_update(self, request: Request, schedule_id: str) -> Response:
        """Change what is sent and keep the rest."""
        schedule = self._named(schedule_id)
        kept = {name: getattr(schedule, name) for name in _PLANNED}
        return self._change(schedule, kept | _read(request, partial=True), request)

    @extend_schema(responses={200: ScheduleAnswer})
    def destroy(self, request: Request, schedule_id: str) -> Response:
        """Remove a schedule; the logs of its calls stay."""
        services.delete_schedule(self._named(schedule_id))
        return _answer(schedule_id, "Schedule deleted successfully", None)

    @extend_schema(request=PreviewInput, responses={200: PreviewAnswer})
    def preview(self, request: Request) -> Response:
        """Show when a schedule would call; nothing is written."""
        given = PreviewInput(data=request.data)
        given.is_valid(raise_exception=True)
        asked: dict[str, Any] = {"phone": None} | given.validated_data
        agent_for(request, asked["agent_instance_id"])
        plan = _plan(asked)
        return _shown(plan.timetable, since=plan.scheduled_time, number=asked["occurrences"])

    @extend_schema(parameters=[_OCCURRENCES], responses={200: PreviewAnswer})
    def preview_of(self, request: Request, schedule_id: str) -> Response:
        """Show when a schedule calls next: by its rule, as if it were not paused."""
        schedule = self._named(schedule_id)
        refuse_unknown(request, {"occurrences"})
        number = read_number(request, "occurrences", 1, MOST_OCCURRENCES, 10)
        number = 0 if schedule.status in FINAL else number
        return _shown(schedule.timetable, since=schedule.scheduled_time, number=number)

    @extend_schema(request=LiveCallsInput, responses={200: ScheduleAnswer})
    def pause(self, request: Request, schedule_id: str) -> Response:
        """Stop dialling until resumed; needs no body."""
        services.pause(self._named(schedule_id), **_live_calls(request))
        return self._answer(schedule_id, "Schedule paused successfully")

    @extend_schema(request=None, responses={200: ScheduleAnswer})
    def resume(self, request: Request, schedule_id: str) -> Response:
        """Dial again after a pause."""
        services.resume(self._named(schedule_id))
        return self._answer(schedule_id, "Schedule resumed successfully")

    @extend_schema(request=LiveCallsInput, responses={200: ScheduleAnswer})
    def cancel(self, request: Request, schedule_id: str) -> Response:
        """Never dial again; needs no body."""
        services.cancel(self._named(schedule_id), **_live_calls(request))
        return self._answer(schedule_id, "Schedule cancelled successfully")

    def _named(self, schedule_id: str) -> CallSchedule:
        return self.get_queryset().named(schedule_id)  # type: ignore[attr-defined]

    def _change(self, schedule: CallSchedule, asked: dict[str, Any], request: Request) -> Response:
        texts = _texts(request, asked)
        services.require_editable(schedule)  # a schedule that is over has past times, no wrong ones
        plan = _plan(asked, kept=schedule)
        services.change_schedule(schedule, plan=plan, **texts)
        return self._answer(schedule.pk, "Schedule updated successfully")

    def _answer(self, schedule_id: str, message: str) -> Response:
        armed = ActiveSchedule.objects.filter(schedule_id=schedule_id).earliest_execution()
        return _answer(schedule_id, message, show_utc(armed))


class ActiveScheduleViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[ActiveSchedule]):
    """Armed occurrences: what is due next."""

    serializer_class = ActiveScheduleSerializer
    filterset_class = ActiveScheduleFilterSet
    ordering_fields = ("next_execution", "created_at")
    queryset = ActiveSchedule.objects.none()

    def get_queryset(self) -> QuerySet[ActiveSchedule]:
        """By due time, those that exist for this user."""
        rows = ActiveSchedule.objects.in_order()
        return visible_to(self.request, rows, through="schedule__")


def _read(request: Request, *, partial: bool = False) -> dict[str, Any]:
    return (_PART if partial else _WHOLE).read(request.data)


def _live_calls(request: Request) -> dict[str, bool]:
    given = LiveCallsInput(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def _plan(asked: dict[str, Any], *, kept: CallSchedule | None = None) -> Plan:
    return make_plan(
        **{name: asked[name] for name in _PLANNED},
        now=timezone.now(),
        kept_time=kept.scheduled_time if kept else None,
        kept_wall=(kept.timezone, kept.wall_time) if kept else ("", ""),
        kept_rule=(kept.timezone, kept.repeat_config) if kept else None,
        kept_window=(kept.phone, kept.calling_window) if kept else ("", None),
    )


def _shown(timetable: Timetable, *, since: datetime, number: int) -> Response:
    lines = preview(timetable, since=max(since, timezone.now()), occurrences=number)
    answer = {"status": "success", "timezone": str(timetable.zone), "occurrences": lines}
    return Response(PreviewAnswer(answer).data)


def _texts(request: Request, asked: dict[str, Any]) -> dict[str, str]:
    """Raises WrongAgent."""
    texts = {name: asked[name] for name in _TEXTS if name in asked}
    if "agent_instance_id" in texts:
        texts["agent_instance_id"] = agent_for(request, texts["agent_instance_id"])
    return texts


def _answer(schedule_id: str, message: str, next_execution: str | None) -> Response:
    return Response(
        {
            "status": "success",
            "message": message,
            "schedule_id": schedule_id,
            "next_execution": next_execution,
        }
    )
