"""Erases a person from the inbox."""

from django.db.models import Q

from polaris.errors import Unreadable
from polaris.privacy.erasure import Erased
from tracking.models import CallLog
from webhooks.models import WebhookEvent

_BATCH = 500


def erase(number: str, erased: Erased, *, hang_up: bool, dry_run: bool) -> None:
    """Delete the webhooks of that number's calls, and any other that holds it."""
    keys = _of_calls(number) | _holding(number)
    events = WebhookEvent.objects.filter(pk__in=keys)
    if dry_run:
        erased.add("webhooks", len(keys))
        return
    erased.add("webhooks", events.exclude(processed_at=None).delete()[0])
    left = events.count()
    if left:
        erased.left.append(f"{left:,} webhooks have not been acted upon yet.")


def _of_calls(number: str) -> set[str]:
    logs = CallLog.objects.of_number(number)
    keys, sids = logs.values("pk"), logs.exclude(call_id="").values("call_id")
    found = WebhookEvent.objects.filter(Q(attempt_id__in=keys) | Q(call_id__in=sids))
    return set(found.values_list("pk", flat=True))


def _holding(number: str) -> set[str]:
    """All are opened, for a sealed payload cannot be searched: it takes a while."""
    found = set()
    for event in WebhookEvent.objects.order_by().iterator(_BATCH):
        try:
            if any(number in str(value) for value in event.payload.values()):
                found.add(event.pk)
        except Unreadable:
            continue
    return found
