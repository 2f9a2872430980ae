"""What an account may stand for, and who has tried to sign in."""

from functools import partial

from django.conf import settings
from django.db import models
from django.utils import timezone

from polaris.ids import ID_MAX_LENGTH, new_id

AGENT_MAX_LENGTH = 128


class AgentGrant(models.Model):
    """An account may ask for tokens of this agent instance."""

    id = models.CharField(
        primary_key=True, max_length=ID_MAX_LENGTH, default=partial(new_id, "grant"), editable=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="agent_grants"
    )
    agent_instance_id = models.CharField(max_length=AGENT_MAX_LENGTH)
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    granted_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        app_label = "polaris"
        db_table = "agent_grants"
        ordering = ["agent_instance_id", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "agent_instance_id"], name="grant_once_per_account"
            )
        ]

    def __str__(self) -> str:
        return self.agent_instance_id


class SignIn(models.Model):
    """An attempt to sign in, and how it ended. Refused ones are told at most once a minute."""

    class Door(models.TextChoices):
        """Where."""

        ADMIN = "admin", "admin"
        API = "api", "API"

    class Outcome(models.TextChoices):
        """How it ended."""

        SIGNED_IN = "signed_in", "signed in"
        REFUSED = "refused", "wrong name or password"
        MADE_TO_WAIT = "made_to_wait", "made to wait"

    id = models.CharField(
        primary_key=True,
        max_length=ID_MAX_LENGTH,
        default=partial(new_id, "signin"),
        editable=False,
    )
    at = models.DateTimeField(default=timezone.now)
    username = models.CharField(
        max_length=150, help_text="An account's name; of what is none, its beginning"
    )
    address = models.CharField(max_length=64)
    door = models.CharField(max_length=8, choices=Door)
    outcome = models.CharField(max_length=16, choices=Outcome)

    class Meta:
        app_label = "polaris"
        db_table = "sign_ins"
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="signin_newest"),
            models.Index(fields=["username", "address", "outcome"], name="signin_known"),
        ]

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"
