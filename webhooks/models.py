"""The inbox: every signed webhook as it came."""

from functools import partial

from django.db import models
from django.utils import timezone

from polaris.ids import ID_MAX_LENGTH, new_id
from polaris.privacy.fields import SealedJSONField, SealedModel


class WebhookEvent(SealedModel):
    """A signed webhook as it came, kept with what it moved, or by itself until it is acted upon."""

    class Outcome(models.TextChoices):
        """What became of it."""

        RECEIVED = "received", "received"  # kept, not yet processed
        APPLIED = "applied", "applied"  # it moved its call
        LATE = "late", "late"  # its call was already past this state
        CREATED = "created", "log created"  # a call that somebody else placed
        CONFLICT = "conflict", "conflict"  # two calls claim the same attempt
        IGNORED = "ignored", "ignored"  # a state that we do not know

    id = models.CharField(
        primary_key=True,
        max_length=ID_MAX_LENGTH,
        default=partial(new_id, "webhook"),
        editable=False,
    )
    # CallSid, CallStatus and SequenceNumber: what Twilio repeats, it repeats with these.
    fingerprint = models.CharField(max_length=200, unique=True)
    call_id = models.CharField(max_length=64)
    attempt_id = models.CharField(max_length=ID_MAX_LENGTH, blank=True, default="")
    call_status = models.CharField(max_length=32)
    payload = SealedJSONField(default=dict)
    outcome = models.CharField(max_length=16, choices=Outcome, default=Outcome.RECEIVED)
    deliveries = models.PositiveIntegerField(default=1)
    received_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "webhook_events"
        ordering = ["-received_at", "-id"]
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="webhook_newest"),
            models.Index(fields=["call_id"], name="webhook_call"),
            models.Index(fields=["attempt_id"], name="webhook_attempt"),
            # Finds what is left over among millions that were acted upon.
            models.Index(
                fields=["received_at"],
                condition=models.Q(outcome="received"),
                name="webhook_left_over",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.call_status} of {self.call_id}"
