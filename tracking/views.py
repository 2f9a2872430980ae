"""The API of calls: what happened, and the figures."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from polaris.access import visible_to
from tracking.analytics import statistics
from tracking.filters import CallLogFilterSet
from tracking.models import CallLog
from tracking.serializers import CallLogSerializer, StatisticsSerializer


class CallLogViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[CallLog]):
    """What happened to the calls."""

    serializer_class = CallLogSerializer
    filterset_class = CallLogFilterSet
    ordering_fields = ("timestamp", "duration", "status")
    queryset = CallLog.objects.none()

    def get_queryset(self) -> QuerySet[CallLog]:
        """The logs that exist for this user."""
        return visible_to(self.request.user, CallLog.objects.all())

    @extend_schema(responses={200: CallLogSerializer})
    def retrieve(self, request: Request, log_id: str) -> Response:
        """One call."""
        logs = self.get_queryset()
        return Response(CallLogSerializer(logs.named(log_id)).data)  # type: ignore[attr-defined]


class StatisticsViewSet(viewsets.GenericViewSet[CallLog]):
    """The figures of the calls that the filters leave."""

    serializer_class = StatisticsSerializer
    filterset_class = CallLogFilterSet
    pagination_class = None
    queryset = CallLog.objects.none()

    def get_queryset(self) -> QuerySet[CallLog]:
        """The logs that exist for this user."""
        return visible_to(self.request.user, CallLog.objects.order_by())

    @extend_schema(responses={200: StatisticsSerializer}, filters=True)
    def retrieve(self, request: Request) -> Response:
        """Seven figures."""
        return Response(statistics(self.filter_queryset(self.get_queryset())))
