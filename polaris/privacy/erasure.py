"""Erases a person by number: the rows stay and count, what tells of the person goes.

Each room erases what is its own (settings.ERASERS, in order): first nothing more is armed, then
the rooms from above to below, so that the rows by which the others are found go last. Whoever is
stopped is simply run again.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.utils.module_loading import import_string

from polaris.audit.recording import Act, record
from polaris.database import atomic
from polaris.repeating import repeated

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Erased:
    """How many of each kind, and in words what had to be left."""

    counts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def add(self, kind: str, count: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + count


def erase_person(number: str, *, hang_up: bool = False, dry_run: bool = False) -> Erased:
    """Erase whatever is kept of a number in E.164, and cancel what is armed for it.

    A call on the line is cancelled at the carrier unless it is answered, or ended with `hang_up`;
    until it is over its log is left, and said so. With `dry_run` it only counts."""
    erased = Erased()
    for path in settings.ERASERS:
        done = _erase(path, number, hang_up=hang_up, dry_run=dry_run)
        erased.left += done.left
        for kind, count in done.counts.items():
            erased.add(kind, count)
    if not dry_run:
        logger.info("a person was erased: %s", _in_words(erased.counts.items()))
    return erased


@repeated
def _erase(path: str, number: str, *, hang_up: bool, dry_run: bool) -> Erased:
    """One room."""
    done = Erased()
    with atomic():
        import_string(path)(number, done, hang_up=hang_up, dry_run=dry_run)
        if not dry_run:
            _record(done)
    return done


def _record(done: Erased) -> None:
    """How many rows of which kind: who the person was is what is to be forgotten."""
    changed = {kind: (count, 0) for kind, count in done.counts.items() if count}
    if changed:
        record(Act("person.erase", "person", "", changes=changed))


def _in_words(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts)
