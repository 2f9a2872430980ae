"""What of this room may be forgotten when it is old."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django_apscheduler.models import DjangoJobExecution

from polaris.web_processes.models import WebProcess
from schedules.models import Runner


def traces(before: datetime) -> list[QuerySet[Any]]:
    """The housekeeping's own: histories of its jobs, and processes that are gone."""
    return [
        DjangoJobExecution.objects.filter(run_time__lt=before),
        Runner.objects.filter(last_seen_at__lt=before),
        WebProcess.objects.filter(last_seen_at__lt=before),
    ]
