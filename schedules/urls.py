"""The paths of schedules. Literal ones stand before those that hold an id."""

from polaris.paths import paths
from schedules.history import HistoryViewSet
from schedules.views import ActiveScheduleViewSet, ScheduleViewSet

_ONE = "schedule/<slug:schedule_id>"

urlpatterns = [
    *paths(
        "schedule/", ScheduleViewSet.as_view({"get": "list", "post": "create"}), name="schedules"
    ),
    *paths("schedule/preview", ScheduleViewSet.as_view({"post": "preview"}), name="preview"),
    *paths("schedule/active", ActiveScheduleViewSet.as_view({"get": "list"}), name="active"),
    *paths(
        _ONE,
        ScheduleViewSet.as_view(
            {
                "get": "retrieve",
                "put": "update",
                "patch": "partial_update",
                "delete": "destroy",
            }
        ),
        name="schedule",
    ),
    *paths(f"{_ONE}/preview", ScheduleViewSet.as_view({"get": "preview_of"}), name="preview-of"),
    *paths(f"{_ONE}/history", HistoryViewSet.as_view({"get": "list"}), name="history"),
    *paths(f"{_ONE}/pause", ScheduleViewSet.as_view({"post": "pause"}), name="pause"),
    *paths(f"{_ONE}/resume", ScheduleViewSet.as_view({"post": "resume"}), name="resume"),
    *paths(f"{_ONE}/cancel", ScheduleViewSet.as_view({"post": "cancel"}), name="cancel"),
]
