"""What the API takes and shows of schedules."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from polaris.serializing import NumberField, OwnersText, StrictSerializer, UtcField
from schedules.models import ActiveSchedule, CallSchedule, CallType, Overlap
from schedules.preview import MOST_OCCURRENCES, Line
from schedules.recurrence import Mark
from schedules.retry_policy import FEWEST_ATTEMPTS, LONGEST_DELAY, MOST_ATTEMPTS, OUTCOMES

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


_CALLING_WINDOW = {
    "type": "object",
    "nullable": True,
    "additionalProperties": False,
    "description": "When a call may be placed, [start, end); docs/time.md has the details.",
    "required": ["start", "end"],
    "properties": {
        "days": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "start": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
        "end": {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"},
        "zone": {
            "type": "string",
            "default": "schedule",
            "description": "schedule, number (the called number's) or an IANA name",
        },
    },
}
_RETRY_POLICY = {
    "type": "object",
    "nullable": True,
    "additionalProperties": False,
    "description": "When an occurrence is tried again; docs/time.md has the details.",
    "required": ["on", "attempts", "delays"],
    "properties": {
        "on": {
            "type": "array",
            "items": {"type": "string", "enum": list(OUTCOMES)},
            "minItems": 1,
        },
        "attempts": {
            "type": "integer",
            "minimum": FEWEST_ATTEMPTS,
            "maximum": MOST_ATTEMPTS,
            "description": "Of one occurrence, the first included",
        },
        "delays": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": LONGEST_DELAY},
            "minItems": 1,
            "maxItems": MOST_ATTEMPTS - 1,
            "description": "Seconds before each further attempt; the last one repeats",
        },
    },
}


@extend_schema_field(_REPEAT_CONFIG)
class RepeatConfigField(serializers.JSONField):
    """A rule of repetition; schedules.repeat_config reads it."""


@extend_schema_field(_CALLING_WINDOW)
class CallingWindowField(serializers.JSONField):
    """The hours in which a call may be placed; schedules.calling_window reads it."""


@extend_schema_field(_RETRY_POLICY)
class RetryPolicyField(serializers.JSONField):
    """When an occurrence is tried again; schedules.retry_policy reads it."""


class _OverlapField(serializers.ChoiceField):
    """Null and missing are the default."""

    def __init__(self) -> None:
        super().__init__(
            Overlap.choices,
            required=False,
            allow_null=True,
            default=Overlap.SKIP.value,
            help_text="What becomes of an occurrence that comes due while the last call is live",
        )

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        empty = super().validate_empty_values(data)
        return (True, Overlap.SKIP.value) if data is None else empty


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

    phone = NumberField()
    description = OwnersText()
    notes = OwnersText()
    scheduled_time = UtcField()
    next_execution = UtcField(read_only=True, allow_null=True)
    created_at = UtcField()
    last_updated = UtcField()
    repeat_config = RepeatConfigField(allow_null=True)
    calling_window = CallingWindowField(allow_null=True)
    retry_policy = RetryPolicyField(allow_null=True)

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
            "calling_window",
            "retry_policy",
            "overlap",
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
    calling_window = CallingWindowField(required=False, allow_null=True, default=None)
    retry_policy = RetryPolicyField(required=False, allow_null=True, default=None)
    overlap = _OverlapField()


class _Flag(serializers.BooleanField):
    """True or false as JSON writes them, and nothing that only looks like it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class LiveCallsInput(StrictSerializer):
    """What becomes of calls that are under way when a schedule is paused or cancelled."""

    hang_up = _Flag(
        default=False,
        help_text="End a call that is being talked, too; one that is not answered is cancelled",
    )


class PreviewInput(ScheduleInput):
    """What a client would send to create a schedule, and how many calls it wants to see."""

    phone = serializers.CharField(
        max_length=64,
        required=False,
        help_text="Needed only where the calling window goes by the number's zone",
    )
    occurrences = serializers.IntegerField(
        min_value=1, max_value=MOST_OCCURRENCES, default=10, help_text="How many calls to show"
    )


class PreviewLine(serializers.Serializer[Any]):
    """A call to come, or one that is skipped."""

    number = serializers.IntegerField(allow_null=True, help_text="Null where it is skipped")
    at = UtcField(allow_null=True, help_text="Null where it is skipped")
    local = serializers.SerializerMethodField(
        help_text="ISO 8601 on the schedule's clock, without an offset where it is skipped"
    )
    mark = serializers.ChoiceField([mark.value for mark in Mark])
    because = serializers.CharField(help_text="Why it has the mark, in words")

    def get_local(self, line: Line) -> str:
        """With the offset of that moment, unless there is no such moment."""
        return line.local.isoformat()


class PreviewAnswer(serializers.Serializer[Any]):
    """The calls to come, in order, with those that are skipped among them."""

    status = serializers.CharField(default="success")
    timezone = serializers.CharField()
    occurrences = PreviewLine(many=True)


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
    due_at = UtcField(help_text="When this attempt of it should be dialled")
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
            "due_at",
            "waits_for",
            "origin",
            "created_at",
            "last_updated",
        ]
        read_only_fields = fields
