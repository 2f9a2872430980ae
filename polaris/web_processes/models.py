"""The web processes, as they tell of themselves."""

from datetime import timedelta
from functools import partial

from django.db import models
from django.utils.timezone import now

from polaris.ids import ID_MAX_LENGTH, new_id


class WebProcess(models.Model):
    """A process that serves the API, the admin and the webhooks.

    It cannot say good-bye, for servers end by the signal that stops them: who is silent is gone."""

    SILENCE = timedelta(seconds=20)

    id = models.CharField(
        primary_key=True, max_length=ID_MAX_LENGTH, default=partial(new_id, "web"), editable=False
    )
    host = models.CharField(max_length=255)
    process_id = models.PositiveIntegerField()
    version = models.CharField(max_length=32, blank=True, default="")
    started_at = models.DateTimeField(default=now)
    last_seen_at = models.DateTimeField(default=now)

    class Meta:
        app_label = "polaris"
        db_table = "web_processes"
        verbose_name_plural = "web processes"
        ordering = ["-last_seen_at"]

    def __str__(self) -> str:
        return f"{self.host}:{self.process_id}"

    @property
    def is_alive(self) -> bool:
        """Whether it has been heard of lately."""
        return now() - self.last_seen_at < self.SILENCE
