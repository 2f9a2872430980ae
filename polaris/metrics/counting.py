"""Counts what has happened, once, from the audit: nothing is added to the way of a call.

The sealed audit is a list without gaps to which things are only ever appended, whoever did them
and in whatever process. So a counter is the sum over it up to a position, and position and counters
move in one transaction. What retention deletes afterwards has been counted."""

import logging
import time
from collections import Counter as Tally
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.db.models import F
from django.utils.module_loading import import_string

from polaris.audit.models import AuditChain, AuditEntry
from polaris.audit.sealing import SealedMeanwhile, seal
from polaris.database import atomic
from polaris.metrics.models import Counter
from polaris.repeating import repeated

logger = logging.getLogger(__name__)

AT_ONCE = 1000
# After an upgrade a long history is counted in turns of so many seconds.
TURN_SECONDS = 10.0


class Happened(NamedTuple):
    """What a room needs to know of an audit entry; `changes` is JSON."""

    verb: str
    object_id: str
    changes: str


def count() -> int:
    """Count what has happened since the last time; says how many entries that were."""
    try:
        seal()
    except SealedMeanwhile:
        logger.debug("somebody else is sealing")
    ends, counted = time.monotonic() + TURN_SECONDS, 0
    while entries := count_batch():
        counted += entries
        if entries < AT_ONCE or time.monotonic() >= ends:
            break
    return counted


@repeated
def count_batch() -> int:
    """Count at most AT_ONCE entries in one transaction; says how many those were.

    Compare-and-set on the position: of two who count the same entries, one is heard."""
    position, _ = Counter.objects.get_or_create(pk=Counter.POSITION)
    chain = AuditChain.objects.filter(pk=AuditChain.THE_CHAIN).first()
    after = max(position.value, chain.pruned_sequence if chain else 0)
    rows = AuditEntry.objects.filter(sequence__gt=after, sequence__lte=after + AT_ONCE)
    asked_for = ("verb", "object_id", "changes", "sequence")
    found = list(rows.order_by("sequence").values_list(*asked_for))
    if not found:
        return 0
    counted, last = _tally([Happened(*row[:3]) for row in found]), found[-1][3]
    with atomic():
        as_read = Counter.objects.filter(pk=Counter.POSITION, value=position.value)
        if not as_read.update(value=last):
            return 0
        for name, number in counted.items():
            _add(name, number)
    return len(found)


def _tally(entries: Sequence[Happened]) -> Tally[str]:
    counted: Tally[str] = Tally()
    for path in settings.METRICS_COUNTED_BY:
        counted.update(import_string(path)(entries))
    return counted


def _add(name: str, number: int) -> None:
    if number and not Counter.objects.filter(pk=name).update(value=F("value") + number):
        Counter.objects.create(pk=name, value=number)
