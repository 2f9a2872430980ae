"""The counts that all processes share."""

from django.db import models


class Tally(models.Model):
    """How often something was done since its window began; one row a key."""

    id = models.CharField(primary_key=True, max_length=128, editable=False)
    began_at = models.DateTimeField(help_text="The begin of the window that is counted")
    last_at = models.DateTimeField(help_text="When it was counted last")
    number = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(help_text="When the row says nothing any more")

    class Meta:
        app_label = "polaris"
        db_table = "tallies"
        verbose_name_plural = "tallies"
        indexes = [models.Index(fields=["expires_at"], name="tally_expires")]

    def __str__(self) -> str:
        return self.id
