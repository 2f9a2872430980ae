"""What the API takes and shows of schedules."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from polaris.serializing import StrictSerializer, UtcField
from schedules.models import ActiveSchedule, CallSchedule, CallType

_REPEAT_CONFIG = {
    "type": "object",
    "nullable": True,
    "additionalProperties": False,
    "description": "By one of frequency, cron and rrule. docs/time.md says what each key means.",
    "properties": {
        "enabled": {"type": "boolean"},
        "frequency": {
            "type": "string",
            "enum": ["hourly", "daily", "weekly", "monthly", "yearly"],
        },
        "cron": {
            "type": "string",
            "maxLength": 200,
            "description": "minute, hour, day of the month, month, weekday (0 and 7 are Sunday)",
        },
        "rrule": {
            "type": "string",
            "maxLength": 500,
            "description": "RFC 5545; scheduled_time is its DTSTART",
        },
        "interval": {"type": "integer", "minimum": 1, "maximum": 1000},
        "count": {"type": "integer", "minimum": 1, "maximum": 10000},
        "weekdays": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "end_date": {"type": "string", "description": "ISO 8601, inclusive"},
        "gap": {"type": "string", "enum": ["forward", "skip"]},
        "month_end": {"type": "string", "enum": ["last", "skip"]},
        "exdates": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": 366,
            "description": "ISO 8601: a local day without a call, or a call that is left out",
        },
        "skip_holidays": {
            "type": "string",
            "description": "ISO 3166-1 or 3166-2, such as FI or US-CA: no call on holidays there",
        },
    },
}


@extend_schema_field(_REPEAT_CONFIG)
class RepeatConfigField(serializers.JSONField):
    """A rule of repetition; schedules.repeat_config reads it."""


class _Text(serializers.CharField):
    """An optional text: null and missing are the empty one."""

    def __init__(self, *, max_length: int) -> None:
        super().__init__(
            max_length=max_length, required=False, allow_blank=True, allow_null=True, default=""
        )

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, "") if data is None else super().validate_empty_values(data)


class ScheduleSerializer(serializers.ModelSerializer[CallSchedule]):
    """A schedule as it is shown; moments are in UTC."""

    scheduled_time = UtcField()
    next_execution = UtcField(read_only=True, allow_null=True)
    created_at = UtcField()
    last_updated = UtcField()
    repeat_config = RepeatConfigField(allow_null=True)

    class Meta:
        model = CallSchedule
        fields = [
            "id",
            "created_by",
            "user_profile_id",
            "agent_instance_id",
            "phone",
            "scheduled_time",
            "timezone",
            "status",
            "status_reason",
            "call_type",
            "description",
            "repeat_config",
            "next_execution",
            "call_id",
            "duration",
            "notes",
            "created_at",
            "last_updated",
        ]
        read_only_fields = fields


class ScheduleInput(StrictSerializer):
    """What a client sends. Its meaning is checked by schedules.planning."""

    ignored = frozenset(ScheduleSerializer.Meta.fields)

    phone = serializers.CharField(max_length=64, help_text="E.164, such as +15005550006")
    scheduled_time = serializers.CharField(
        max_length=64,
        help_text="ISO 8601; with an offset or Z that instant, without local time in `timezone`",
    )
    timezone = serializers.CharField(
        max_length=64,
        default=lambda: settings.SCHEDULER_TIMEZONE,
        help_text="IANA zone whose wall clock repetitions keep; default SCHEDULER_TIMEZONE",
    )
    call_type = serializers.ChoiceField([CallType.OUTBOUND.value], default=CallType.OUTBOUND.value)
    description = _Text(max_length=2000)
    notes = _Text(max_length=10000)
    user_profile_id = _Text(max_length=128)
    agent_instance_id = _Text(max_length=128)
    repeat_config = RepeatConfigField(required=False, allow_null=True, default=None)


class ScheduleAnswer(serializers.Serializer[Any]):
    """What a change answers."""

    status = serializers.CharField(default="success")
    message = serializers.CharField()
    schedule_id = serializers.CharField()
    next_execution = UtcField(allow_null=True)


class ActiveScheduleSerializer(serializers.ModelSerializer[ActiveSchedule]):
    """An armed occurrence."""

    schedule_id = serializers.CharField()
    next_execution = UtcField(allow_null=True)
    occurrence = UtcField()
    created_at = UtcField()
    last_updated = UtcField()

    class Meta:
        model = ActiveSchedule
        fields = [
            "id",
            "schedule_id",
            "job_id",
            "next_execution",
            "status",
            "occurrence",
            "attempt",
            "origin",
            "created_at",
            "last_updated",
        ]
        read_only_fields = fields
