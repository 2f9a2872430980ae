"""What the API shows of calls."""

from typing import Any

from rest_framework import serializers

from polaris.serializing import UtcField
from tracking.models import CallLog


class CallLogSerializer(serializers.ModelSerializer[CallLog]):
    """One attempt to call; moments are in UTC."""

    schedule_id = serializers.CharField(allow_null=True)
    occurrence = UtcField(allow_null=True)
    due_at = UtcField(allow_null=True, help_text="When this attempt should have been dialled")
    lateness = serializers.SerializerMethodField(help_text="Seconds from due_at to timestamp")
    timestamp = UtcField()
    start_time = UtcField(allow_null=True)
    end_time = UtcField(allow_null=True)
    last_updated = UtcField()

    class Meta:
        model = CallLog
        fields = [
            "id",
            "schedule_id",
            "created_by",
            "user_profile_id",
            "agent_instance_id",
            "call_id",
            "status",
            "call_type",
            "phone",
            "occurrence",
            "attempt",
            "due_at",
            "timestamp",
            "lateness",
            "start_time",
            "end_time",
            "duration",
            "error_code",
            "error_message",
            "attention",
            "notes",
            "metadata",
            "last_updated",
        ]
        read_only_fields = fields

    def get_lateness(self, log: CallLog) -> float | None:
        """Seconds."""
        return log.lateness.total_seconds() if log.lateness is not None else None


class StatisticsSerializer(serializers.Serializer[Any]):
    """The contract's seven figures: durations in seconds, the rate in per cent of all calls."""

    total_calls = serializers.IntegerField()
    completed_calls = serializers.IntegerField()
    failed_calls = serializers.IntegerField()
    pending_calls = serializers.IntegerField()
    success_rate = serializers.FloatField()
    average_duration = serializers.IntegerField()
    total_duration = serializers.IntegerField()
