"""What of the inbox may be forgotten when it is old."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from webhooks.models import WebhookEvent


def webhooks(before: datetime) -> list[QuerySet[Any]]:
    """Webhooks that have been acted upon."""
    return [WebhookEvent.objects.filter(received_at__lt=before).exclude(processed_at=None)]
