"""What happened: the ledger of calls, one row an attempt, and the outbox of notifications."""

from datetime import timedelta
from functools import partial

from django.db import models
from django.utils import timezone

from polaris.errors import CallLogNotFound
from polaris.ids import ID_MAX_LENGTH, new_id
from polaris.privacy.fields import (
    LookupField,
    NumberQuerySet,
    SealedCharField,
    SealedJSONField,
    SealedModel,
    SealedTextField,
)
from schedules.models import CallSchedule, CallType
from tracking.states import FINAL, LIVE, ON_THE_LINE, UNSETTLED, CallStatus


class CallLogQuerySet(NumberQuerySet):
    """Reads of the ledger."""

    def named(self, log_id: str) -> "CallLog":
        """The log of that id. Raises CallLogNotFound."""
        log = self.filter(pk=log_id).first()
        if log is None:
            raise CallLogNotFound(f"There is no call log {log_id!r}.")
        return log

    def live(self) -> "CallLogQuerySet":
        """Calls that are at the carrier, as far as we know."""
        return self.filter(status__in=LIVE)

    def on_the_line(self) -> "CallLogQuerySet":
        """Calls that are at the carrier, or may be."""
        return self.filter(status__in=ON_THE_LINE)

    def unsettled(self) -> "CallLogQuerySet":
        """Calls whose end we do not know yet."""
        return self.filter(status__in=UNSETTLED)

    def needing_attention(self) -> "CallLogQuerySet":
        """Calls at which an operator should look; none of them has ended."""
        return self.unsettled().exclude(attention="")


class CallLog(SealedModel):
    """One attempt to make one occurrence of a schedule: written before the carrier is asked."""

    Status = CallStatus

    class Stop(models.TextChoices):
        """What the carrier is asked to do with a call that is not wanted any more."""

        CANCEL = "cancel", "cancel it unless it is answered"
        HANG_UP = "hang_up", "end it whatever its state"

    id = models.CharField(
        primary_key=True, max_length=ID_MAX_LENGTH, default=partial(new_id, "log"), editable=False
    )
    # Without a constraint: the log of a call outlives its schedule, and still names it.
    schedule = models.ForeignKey(
        CallSchedule,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="logs",
    )
    occurrence = models.DateTimeField(null=True, help_text="The nominal time of the call")
    attempt = models.PositiveSmallIntegerField(
        default=1, help_text="Counts from 1; 0 is a call that we did not place"
    )
    due_at = models.DateTimeField(
        null=True, help_text="When this attempt should have been dialled; lateness counts from it"
    )
    created_by = models.CharField(max_length=64, blank=True, default="")
    user_profile_id = models.CharField(max_length=128, blank=True, default="")
    agent_instance_id = models.CharField(max_length=128, blank=True, default="")
    call_id = models.CharField(
        max_length=64, blank=True, default="", help_text="The carrier's id of the call (SID)"
    )
    status = models.CharField(max_length=16, choices=CallStatus, default=CallStatus.PENDING)
    call_type = models.CharField(max_length=16, choices=CallType, default=CallType.OUTBOUND)
    phone = SealedCharField(max_length=64)
    phone_lookup = LookupField(of="phone")
    timestamp = models.DateTimeField(
        default=timezone.now, help_text="When it was dialled, or recorded as missed"
    )
    start_time = models.DateTimeField(null=True, help_text="When it was answered")
    end_time = models.DateTimeField(null=True)
    duration = models.PositiveIntegerField(null=True, help_text="Seconds talked")
    error_code = models.CharField(max_length=32, blank=True, default="")
    error_message = models.TextField(blank=True, default="", help_text="Why, in words")
    next_check_at = models.DateTimeField(
        null=True, help_text="When the carrier is asked again what became of it"
    )
    stop = models.CharField(
        max_length=8, choices=Stop, blank=True, default="", help_text="How it is being stopped"
    )
    attention = models.TextField(
        blank=True, default="", help_text="Why an operator should look at it, in words"
    )
    notes = SealedTextField(blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    last_updated = models.DateTimeField(default=timezone.now)

    objects = CallLogQuerySet.as_manager()

    class Meta:
        db_table = "call_logs"
        ordering = ["-timestamp", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "occurrence", "attempt"], name="log_once_per_attempt"
            ),
            models.UniqueConstraint(
                fields=["phone_lookup"],
                condition=models.Q(status__in=sorted(ON_THE_LINE), attempt__gt=0),
                name="log_one_call_per_lookup",
            ),
        ]
        indexes = [
            # These five end in what tracking.analytics adds up, which therefore reads no row.
            models.Index(fields=["-timestamp", "-id", "status", "duration"], name="log_newest"),
            models.Index(
                fields=["created_by", "-timestamp", "status", "duration"], name="log_owner"
            ),
            models.Index(fields=["status", "-timestamp", "duration"], name="log_status"),
            models.Index(
                fields=["user_profile_id", "-timestamp", "status", "duration", "created_by"],
                name="log_profile",
            ),
            models.Index(
                fields=["agent_instance_id", "-timestamp", "status", "duration", "created_by"],
                name="log_agent",
            ),
            models.Index(fields=["call_id"], name="log_call"),
            models.Index(fields=["phone_lookup"], name="log_phone_lookup"),
            models.Index(fields=["next_check_at"], name="log_next_check"),
        ]

    def __str__(self) -> str:
        return self.pk

    @property
    def is_final(self) -> bool:
        """Whether the call is over, or was never made."""
        return self.status in FINAL

    @property
    def lateness(self) -> timedelta | None:
        """How long after its time it was dialled, or recorded as missed."""
        due_at = self.due_at or self.occurrence
        return self.timestamp - due_at if due_at else None


class Notification(SealedModel):
    """A message in the outbox: one event for one channel, kept until it has been delivered."""

    class Status(models.TextChoices):
        """Where a message stands."""

        WAITING = "waiting", "waiting"
        SENT = "sent", "sent"
        FAILED = "failed", "failed"

    id = models.CharField(
        primary_key=True,
        max_length=ID_MAX_LENGTH,
        default=partial(new_id, "notification"),
        editable=False,
    )
    event_id = models.CharField(max_length=ID_MAX_LENGTH)
    event = models.CharField(max_length=64)
    channel = models.CharField(max_length=32)
    payload = SealedJSONField(default=dict)
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=timezone.now)
    last_error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    last_updated = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "notifications"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["event_id", "channel"], name="notification_once_per_channel"
            )
        ]
        indexes = [
            models.Index(fields=["status", "next_attempt_at"], name="notification_due"),
            models.Index(fields=["-created_at", "-id"], name="notification_newest"),
            models.Index(fields=["last_updated"], name="notification_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event} by {self.channel}"
