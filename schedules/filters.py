"""How lists of schedules can be narrowed."""

from typing import Any

from django_filters import rest_framework as filters

from polaris.querying import MomentFilter, NumberFilter
from schedules.models import ActiveSchedule, CallSchedule, CallType
from schedules.states import ArmedStatus, ScheduleStatus


class ScheduleFilterSet(filters.FilterSet):
    """`from` and `to` are bounds of scheduled_time, both inclusive."""

    status = filters.ChoiceFilter(choices=ScheduleStatus.choices)
    call_type = filters.ChoiceFilter(choices=CallType.choices)
    phone = NumberFilter(help_text="A whole number in E.164")
    user_profile_id = filters.CharFilter()
    agent_instance_id = filters.CharFilter()

    class Meta:
        model = CallSchedule
        fields: list[str] = []

    @classmethod
    def get_filters(cls) -> dict[str, Any]:
        """Adds the two whose names are words of Python's."""
        return super().get_filters() | {
            "from": MomentFilter("scheduled_time", "gte"),
            "to": MomentFilter("scheduled_time", "lte", ends=True),
        }


class ActiveScheduleFilterSet(filters.FilterSet):
    """Armed occurrences of a schedule, or in a state."""

    status = filters.ChoiceFilter(choices=ArmedStatus.choices)
    schedule_id = filters.CharFilter()

    class Meta:
        model = ActiveSchedule
        fields: list[str] = []
