"""What the API shows of calls."""

from typing import Any

from rest_framework import serializers

from polaris.serializing import NumberField, OwnersText, UtcField
from tracking.explaining import OUTCOMES, Explained
from tracking.models import CallLog
from tracking.states import CallStatus


class CallLogSerializer(serializers.ModelSerializer[CallLog]):
    """One attempt to call; moments are in UTC."""

    schedule_id = serializers.CharField(allow_null=True)
    phone = NumberField()
    notes = OwnersText()
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


class AttemptSerializer(serializers.Serializer[CallLog]):
    """One attempt of an occurrence: a call log, in short."""

    log_id = serializers.CharField(source="pk")
    attempt = serializers.IntegerField()
    status = serializers.ChoiceField(CallStatus.choices)
    timestamp = UtcField()
    error_code = serializers.CharField()
    error_message = serializers.CharField()


class OccurrenceSerializer(serializers.Serializer[Explained]):
    """An occurrence, what became of it, and why it was or was not called."""

    occurrence = UtcField(allow_null=True, help_text="Null where it was skipped")
    local = serializers.SerializerMethodField(
        help_text="ISO 8601 on the schedule's clock, without an offset where it was skipped"
    )
    outcome = serializers.ChoiceField(OUTCOMES)
    reason = serializers.CharField()
    attempts = AttemptSerializer(many=True)

    def get_local(self, explained: Explained) -> str:
        """With the offset of that moment, unless there is no such moment."""
        return explained.local.isoformat()


class OccurrencesSerializer(serializers.Serializer[Any]):
    """A page of occurrences."""

    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = OccurrenceSerializer(many=True)


class StatisticsSerializer(serializers.Serializer[Any]):
    """The contract's seven figures: durations in seconds, the rate in per cent of all calls."""

    total_calls = serializers.IntegerField()
    completed_calls = serializers.IntegerField()
    failed_calls = serializers.IntegerField()
    pending_calls = serializers.IntegerField()
    success_rate = serializers.FloatField()
    average_duration = serializers.IntegerField()
    total_duration = serializers.IntegerField()
