"""Counters that outlive the rows they have counted."""

from django.db import models


class Counter(models.Model):
    """One counter, named by its metric and its label; it only ever rises."""

    # A counter of its own: the number of the last audit entry that has been counted.
    POSITION = "position"

    id = models.CharField(primary_key=True, max_length=100, editable=False)
    value = models.BigIntegerField(default=0)

    class Meta:
        app_label = "polaris"
        db_table = "counters"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.id}: {self.value}"
