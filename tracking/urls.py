"""The paths of calls and figures."""

from polaris.paths import paths
from tracking.views import CallLogViewSet, OccurrencesViewSet, StatisticsViewSet

_LOGS = "schedule/tracking/logs"

urlpatterns = [
    *paths(_LOGS, CallLogViewSet.as_view({"get": "list"}), name="logs"),
    *paths(f"{_LOGS}/<slug:log_id>", CallLogViewSet.as_view({"get": "retrieve"}), name="log"),
    *paths("schedule/tracking/stats", StatisticsViewSet.as_view({"get": "retrieve"}), name="stats"),
    *paths(
        "schedule/<slug:schedule_id>/occurrences",
        OccurrencesViewSet.as_view({"get": "retrieve"}),
        name="occurrences",
    ),
]
