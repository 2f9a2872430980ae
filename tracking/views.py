"""The API of calls: what happened, why, and the figures."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from polaris.access import visible_to
from polaris.querying import InvalidQuery, MomentField, read_number, refuse_unknown
from schedules.models import CallSchedule
from tracking.analytics import statistics
from tracking.explaining import (
    MOST_OCCURRENCES,
    UNKNOWN,
    Explained,
    TooManyOccurrences,
    explain,
    slots_between,
)
from tracking.filters import CallLogFilterSet
from tracking.models import CallLog
from tracking.serializers import (
    CallLogSerializer,
    OccurrencesSerializer,
    StatisticsSerializer,
)

_WEEK = timedelta(days=7)
_LONGEST_SPAN = timedelta(days=366)
_MOST_A_PAGE = 100
_OF_OTHERS = "What was written down of it is not for whoever asks: it was another agent's, say."
_MOMENT = "A date and time, or a bare date; in SCHEDULER_TIMEZONE unless it has an offset."


class CallLogViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[CallLog]):
    """What happened to the calls."""

    serializer_class = CallLogSerializer
    filterset_class = CallLogFilterSet
    ordering_fields = ("timestamp", "duration", "status")
    queryset = CallLog.objects.none()

    def get_queryset(self) -> QuerySet[CallLog]:
        """The logs that exist for this user."""
        return visible_to(self.request, CallLog.objects.all())

    @extend_schema(responses={200: CallLogSerializer})
    def retrieve(self, request: Request, log_id: str) -> Response:
        """One call."""
        logs = self.get_queryset()
        return Response(self.get_serializer(logs.named(log_id)).data)  # type: ignore[attr-defined]


class OccurrencesViewSet(viewsets.GenericViewSet[CallSchedule]):
    """Why a schedule's occurrences were, or were not, called."""

    serializer_class = OccurrencesSerializer
    filter_backends = ()
    pagination_class = None
    queryset = CallSchedule.objects.none()

    def get_queryset(self) -> QuerySet[CallSchedule]:
        """The schedules that exist for this user."""
        return visible_to(self.request, CallSchedule.objects.all())

    @extend_schema(
        parameters=[
            OpenApiParameter("from", str, description=f"{_MOMENT} A week ago."),
            OpenApiParameter("to", str, description=f"{_MOMENT} In a week."),
            OpenApiParameter("page", {"type": "integer", "minimum": 1, "default": 1}),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": _MOST_A_PAGE, "default": _MOST_A_PAGE},
            ),
        ],
        responses={200: OccurrencesSerializer},
    )
    def retrieve(self, request: Request, schedule_id: str) -> Response:
        """Every occurrence of a span, in order of time, each with its reason in words."""
        schedule = self.get_queryset().named(schedule_id)  # type: ignore[attr-defined]
        refuse_unknown(request, {"from", "to", "page", "limit"})
        now = timezone.now()
        start, end = _span(request, now)
        page = read_number(request, "page", 1, MOST_OCCURRENCES, 1)
        limit = read_number(request, "limit", 1, _MOST_A_PAGE, _MOST_A_PAGE)
        try:
            slots = slots_between(schedule, start, end)
        except TooManyOccurrences as error:
            issue = f"There are more than {MOST_OCCURRENCES} occurrences until then."
            raise InvalidQuery(issue, field="to") from error
        shown = slots[(page - 1) * limit : page * limit]
        answer = {
            "count": len(slots),
            "next": _page(request, page + 1) if page * limit < len(slots) else None,
            "previous": _page(request, page - 1) if page > 1 else None,
            "results": self._shown(explain(schedule, shown, now=now)),
        }
        return Response(OccurrencesSerializer(answer).data)

    def _shown(self, found: list[Explained]) -> list[Explained]:
        """Without the attempts whose logs do not exist for this user, nor what came of them."""
        keys = [log.pk for each in found for log in each.attempts]
        if not keys:
            return found
        logs = visible_to(self.request, CallLog.objects.filter(pk__in=keys))
        seen = set(logs.values_list("pk", flat=True))
        return [_without_others(each, seen) for each in found]


def _without_others(explained: Explained, seen: set[str]) -> Explained:
    known = [log for log in explained.attempts if log.pk in seen]
    if len(known) == len(explained.attempts):
        return explained
    return replace(explained, attempts=known, outcome=UNKNOWN, reason=_OF_OTHERS)


def _span(request: Request, now: datetime) -> tuple[datetime, datetime]:
    """From and to, both included: the last week and the next where nothing else is asked."""
    start = _moment(request, "from", ends=False)
    end = _moment(request, "to", ends=True)
    try:
        start = start or (end - 2 * _WEEK if end else now - _WEEK)
        end = end or (start + 2 * _WEEK if request.query_params.get("from") else now + _WEEK)
        span = end - start
    except OverflowError as error:
        raise InvalidQuery("The calendar ends there.", field="from") from error
    if span < timedelta():
        raise InvalidQuery("Ends before it starts.", field="to")
    if span > _LONGEST_SPAN:
        raise InvalidQuery(f"At most {_LONGEST_SPAN.days} days are shown at once.", field="to")
    return start, end


def _moment(request: Request, name: str, *, ends: bool) -> datetime | None:
    field = MomentField(ends=ends, required=False)
    try:
        moment: datetime | None = field.clean(request.query_params.get(name))
    except forms.ValidationError as error:
        raise InvalidQuery(str(error.messages[0]), field=name) from error
    return moment


def _page(request: Request, page: int) -> Any:
    url = request.build_absolute_uri()
    return remove_query_param(url, "page") if page == 1 else replace_query_param(url, "page", page)


class StatisticsViewSet(viewsets.GenericViewSet[CallLog]):
    """The figures of the calls that the filters leave."""

    serializer_class = StatisticsSerializer
    filterset_class = CallLogFilterSet
    pagination_class = None
    queryset = CallLog.objects.none()

    def get_queryset(self) -> QuerySet[CallLog]:
        """The logs that exist for this user."""
        return visible_to(self.request, CallLog.objects.order_by())

    @extend_schema(responses={200: StatisticsSerializer}, filters=True)
    def retrieve(self, request: Request) -> Response:
        """Seven figures."""
        return Response(statistics(self.filter_queryset(self.get_queryset())))
