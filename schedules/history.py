"""The API of a schedule's history: who did what to it and its calls, and when."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from polaris.access import agent_of, visible_to
from polaris.audit.models import AuditEntry
from polaris.audit.serializers import AuditEntrySerializer
from schedules.models import CallSchedule


class HistoryFilterSet(filters.FilterSet):
    """One kind of act, or one actor's."""

    verb = filters.CharFilter()
    actor = filters.CharFilter()

    class Meta:
        model = AuditEntry
        fields: list[str] = []


class HistoryViewSet(viewsets.GenericViewSet[AuditEntry]):
    """What was done to a schedule and its calls."""

    serializer_class = AuditEntrySerializer
    filterset_class = HistoryFilterSet
    queryset = AuditEntry.objects.none()

    def get_queryset(self) -> QuerySet[AuditEntry]:
        """The acts on a schedule that exists for this user, the latest first.

        Raises ScheduleNotFound."""
        schedule_id = self.kwargs.get("schedule_id")
        if schedule_id is None:  # asked for by drf-spectacular
            return AuditEntry.objects.none()
        schedules = visible_to(self.request, CallSchedule.objects.all())
        schedule = schedules.named(schedule_id)  # type: ignore[attr-defined]
        entries = AuditEntry.objects.of_schedule(schedule.pk)
        if agent_of(self.request) and (moved := entries.that_moved_it().first()):
            return entries.filter(pk__gt=moved.pk)  # what was before is another agent's
        return entries

    @extend_schema(
        operation_id="schedule_history_list", responses={200: AuditEntrySerializer(many=True)}
    )
    def list(self, request: Request, schedule_id: str) -> Response:
        """The history of a schedule and its calls, the latest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
