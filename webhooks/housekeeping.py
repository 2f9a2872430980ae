"""Takes up webhooks that were kept but not acted upon, because we failed meanwhile."""

import logging
from datetime import timedelta
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone

from webhooks.inbox import act_upon
from webhooks.models import WebhookEvent

logger = logging.getLogger(__name__)

# Whoever received it is done by then, or has died.
_LEFT_OVER = timedelta(minutes=1)
_AT_ONCE = 200


def take_up() -> None:
    """Act upon what was left over, oldest first. Repeating it is harmless."""
    before = timezone.now() - _LEFT_OVER
    # By the index on those; the outcome is written with the time.
    left = WebhookEvent.objects.filter(outcome=WebhookEvent.Outcome.RECEIVED, processed_at=None)
    events = left.filter(received_at__lt=before)
    for event in events.order_by("received_at")[:_AT_ONCE]:
        try:
            act_upon(event, QueryDict(urlencode(event.payload)))
        except Exception:
            logger.exception("%s cannot be acted upon", event.pk)
