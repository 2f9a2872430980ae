"""Showing one whole number to one person: a deliberate act, and the one place that tells of it."""

import logging
from typing import Any

from django.db.models import Model

from polaris.audit.recording import record_read

logger = logging.getLogger(__name__)

PERMISSION = "polaris.reveal_numbers"


# As the audit calls them.
KINDS = {
    "schedules.CallSchedule": "schedule",
    "tracking.CallLog": "call",
    "webhooks.WebhookEvent": "webhook",
}


def may_reveal(user: Any) -> bool:
    """Whether the user holds the right to see whole numbers, one at a time."""
    return bool(user.has_perm(PERMISSION))


def record_reveal(*, actor: Any, subject: Model) -> None:
    """Write down that `actor`, a user, is about to see the number of `subject`.

    Called before the number is shown; where this raises, nothing is shown."""
    kind = KINDS[subject._meta.label]
    schedule_id = subject.pk if kind == "schedule" else getattr(subject, "schedule_id", "")
    record_read("phone.reveal", kind=kind, key=subject.pk, schedule_id=schedule_id or "")
    logger.info("%s reveals the number of %s", actor.get_username(), subject.pk)
