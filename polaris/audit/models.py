"""The audit: one entry for each act, never altered, and the chain that seals them."""

from functools import partial
from typing import Any, NoReturn

from django.db import models

from polaris.ids import ID_MAX_LENGTH, new_id

# What an entry says. In this order it is hashed: a change of it breaks every chain that is sealed.
CONTENT = (
    "id",
    "happened_at",
    "actor",
    "actor_name",
    "agent_instance_id",
    "address",
    "request_id",
    "verb",
    "object_kind",
    "object_id",
    "schedule_id",
    "changes",
    "reason",
)


class AppendOnly(TypeError):
    """Audit entries are written by polaris.audit.recording, and never altered or deleted."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    """Reads alone."""

    def of_schedule(self, schedule_id: str) -> "AuditEntryQuerySet":
        """A schedule's story, the latest first."""
        return self.filter(schedule_id=schedule_id).order_by("-id")

    def that_moved_it(self) -> "AuditEntryQuerySet":
        """Changes that gave a schedule to another agent."""
        return self.filter(verb="schedule.change", changes__contains='"agent_instance_id":')

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly

    def create(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly


class AuditEntry(models.Model):
    """An act: who did what to which object, what it changed, and why.

    Its key tells its time: keys are in the order of their milliseconds."""

    id = models.CharField(
        primary_key=True, max_length=ID_MAX_LENGTH, default=partial(new_id, "audit"), editable=False
    )
    happened_at = models.DateTimeField(help_text="To the millisecond")
    actor = models.CharField(
        max_length=64, help_text="An account, a runner, carrier, a command, nobody or system"
    )
    actor_name = models.CharField(
        max_length=150, blank=True, default="", help_text="The account's name then"
    )
    agent_instance_id = models.CharField(
        max_length=128, blank=True, default="", help_text="Whose token it was"
    )
    address = models.CharField(
        max_length=64, blank=True, default="", help_text="The peer's network address"
    )
    request_id = models.CharField(max_length=64, blank=True, default="")
    verb = models.CharField(max_length=32)
    object_kind = models.CharField(max_length=32)
    object_id = models.CharField(max_length=64, blank=True, default="")
    schedule_id = models.CharField(max_length=ID_MAX_LENGTH, blank=True, default="")
    # Text and not JSON, so that every database gives back what was hashed, to the letter.
    changes = models.TextField(help_text="JSON: field to [before, after]")
    reason = models.TextField(blank=True, default="")
    sequence = models.BigIntegerField(null=True, unique=True, help_text="Its place in the chain")
    hash = models.CharField(max_length=64, blank=True, default="", help_text="SHA-256, hexadecimal")

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        app_label = "polaris"
        db_table = "audit_entries"
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["schedule_id", "id"], name="audit_schedule"),
            models.Index(fields=["object_id", "id"], name="audit_object"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
            # Finds what is not sealed, in order, among millions that are.
            models.Index(fields=["sequence", "id"], name="audit_unsealed"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} of {self.object_id or self.object_kind}"

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly


def unguarded() -> models.QuerySet[AuditEntry]:
    """For who seals and prunes, and for the INSERT of MongoDB: the queries that all others lack."""
    return models.QuerySet(AuditEntry)


class AuditChain(models.Model):
    """Where the chain ends, and where it begins now that old entries have been forgotten: one row.

    Whoever seals or prunes moves it by compare-and-set first, so that nobody else does."""

    THE_CHAIN = "audit"

    id = models.CharField(primary_key=True, max_length=16, default=THE_CHAIN, editable=False)
    sequence = models.BigIntegerField(default=0, help_text="Of the last entry that is sealed")
    hash = models.CharField(max_length=64, blank=True, default="")
    pruned_sequence = models.BigIntegerField(default=0, help_text="Of the last entry forgotten")
    pruned_hash = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        app_label = "polaris"
        db_table = "audit_chain"

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"
