"""Erases a person from the schedules."""

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, QuerySet
from django.utils import timezone

from polaris.database import atomic
from polaris.errors import IllegalTransition
from polaris.privacy.erasure import Erased
from schedules import services
from schedules.models import CallSchedule
from schedules.states import FINAL


def stop(number: str, erased: Erased, *, hang_up: bool, dry_run: bool) -> None:
    """Cancel what may still call that number."""
    rows = _of(number).exclude(status__in=FINAL)
    if dry_run:
        erased.add("schedules to cancel", rows.count())
        return
    for schedule in rows:
        try:
            services.cancel(schedule, hang_up=hang_up)
        except IllegalTransition:
            continue  # it is over by now
        erased.add("schedules cancelled", 1)


def erase(number: str, erased: Erased, *, hang_up: bool, dry_run: bool) -> None:
    """Take the number and every text out of its schedules."""
    rows = _of(number)
    if dry_run:
        erased.add("schedules", rows.count())
        return
    keys = list(rows.values_list("pk", flat=True))
    with atomic():
        over = rows.filter(pk__in=keys, status__in=FINAL)
        erased.add("schedules", over.update(**_blank()))
        forget_history(CallSchedule, keys)
    left = rows.count()
    if left:
        erased.left.append(f"{left:,} schedules were written or resumed meanwhile.")


def forget_history(model: Any, keys: list[str]) -> None:
    """The admin's history keeps who did what and when, but no name and no words."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(model), object_id__in=keys
    )
    entries.update(object_repr=F("object_id"), change_message="")


def _of(number: str) -> QuerySet[CallSchedule]:
    rows: QuerySet[CallSchedule] = CallSchedule.objects.of_number(number)
    return rows


def _blank() -> dict[str, Any]:
    return {
        "phone": "",
        "description": "",
        "notes": "",
        "status_reason": "",
        "user_profile_id": "",
        "revision": F("revision") + 1,
        "last_updated": timezone.now(),
    }
