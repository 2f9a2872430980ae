"""Forgets what is older than it may be kept: by kind, in small batches, again and again.

What a kind is, and what of it may go, is said by the room that owns it (settings.RETENTION)."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from polaris.audit.recording import Act, record
from polaris.database import atomic

logger = logging.getLogger(__name__)

# Rows that are deleted together.
AT_ONCE = 200


def prune() -> dict[str, int]:
    """Delete what is too old; says how many rows of each kind. Repeating it is harmless."""
    done = {kind: sum(_delete(each, kind) for each in rows) for kind, rows in _too_old()}
    for kind, count in done.items():
        if count:
            logger.info("%d of %s were older than they are kept, and are deleted", count, kind)
    return done


def count_too_old() -> dict[str, int]:
    """How many rows of each kind `prune` would delete now."""
    return {kind: sum(each.count() for each in rows) for kind, rows in _too_old()}


def _too_old() -> Iterable[tuple[str, list[QuerySet[Any]]]]:
    for kind, kept in settings.RETENTION.items():
        before = oldest_kept(kept["days"])
        yield kind, import_string(kept["rows"])(before) if before else []


def admin_history(before: datetime) -> list[QuerySet[Any]]:
    """Django's own history of the admin, kept for as long as the audit, which says it all."""
    return [LogEntry.objects.filter(action_time__lt=before)]


def oldest_kept(days: int) -> datetime | None:
    """The moment before which nothing is kept; None where everything is, for ever."""
    return timezone.now() - timedelta(days=days) if days else None


def _delete(rows: QuerySet[Any], kind: str) -> int:
    """What has become live meanwhile is not deleted: the conditions are asked once more."""
    total, label = 0, rows.model._meta.label
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        with atomic():
            _, deleted = rows.filter(pk__in=keys).delete()
            if count := deleted.get(label, 0):
                _record(kind, count)
        total += count
        if not deleted:
            break
    return total


def _record(kind: str, count: int) -> None:
    reason = f"Older than {settings.RETENTION[kind]['days']} days."
    changed = {kind: (count, 0)}
    record(Act("housekeeping.prune", "housekeeping", "prune", changes=changed, reason=reason))
