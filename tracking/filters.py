"""How lists and statistics of calls can be narrowed."""

from django_filters import rest_framework as filters

from polaris.querying import MomentFilter, NumberFilter
from tracking.models import CallLog
from tracking.states import CallStatus


class CallLogFilterSet(filters.FilterSet):
    """`start_date` and `end_date` are bounds of the time of the call, both inclusive."""

    phone = NumberFilter(help_text="A whole number in E.164")
    user_profile_id = filters.CharFilter()
    agent_instance_id = filters.CharFilter()
    schedule_id = filters.CharFilter()
    status = filters.ChoiceFilter(choices=CallStatus.choices)
    start_date = MomentFilter("timestamp", "gte")
    end_date = MomentFilter("timestamp", "lte", ends=True)

    class Meta:
        model = CallLog
        fields: list[str] = []
