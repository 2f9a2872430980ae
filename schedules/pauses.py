"""The spans in which schedules were paused, kept to say afterwards why a call was not made."""

from django.utils import timezone

from schedules.models import Pause


def begin_pause(schedule_id: str) -> None:
    """From now on nothing of it is dialled; one that is paused already has its span."""
    if not Pause.objects.filter(schedule_id=schedule_id, ended_at=None).exists():
        Pause.objects.create(schedule_id=schedule_id)


def end_pause(schedule_id: str) -> None:
    """It is dialled again, or never will be."""
    Pause.objects.filter(schedule_id=schedule_id, ended_at=None).update(ended_at=timezone.now())
