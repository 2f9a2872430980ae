"""How the API shows the audit."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from polaris.audit.models import AuditEntry
from polaris.serializing import UtcField

_CHANGES = {
    "type": "object",
    "description": "Field to its value before and after; null where there was, or is, nothing.",
    "additionalProperties": {"type": "array", "items": {}, "minItems": 2, "maxItems": 2},
}


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    """An act; where it came from on the network is for staff alone, in the admin."""

    happened_at = UtcField()
    actor = serializers.CharField(
        help_text="`user_…`, `runner_…`, `carrier`, `command …`, `nobody` or `system`"
    )
    changes = serializers.SerializerMethodField()

    class Meta:
        model = AuditEntry
        fields = [
            "id",
            "happened_at",
            "actor",
            "agent_instance_id",
            "verb",
            "object_kind",
            "object_id",
            "changes",
            "reason",
            "request_id",
        ]
        read_only_fields = fields

    @extend_schema_field(_CHANGES)
    def get_changes(self, entry: AuditEntry) -> Any:
        """As JSON, not as the text that is kept."""
        return json.loads(entry.changes)
