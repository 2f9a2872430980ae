"""State machines as tables, and the compare-and-set that moves a row along them."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone


class Transitions:
    """Which state may follow which. States are plain strings; a final one has no successors."""

    def __init__(self, table: Mapping[str, Iterable[str]]) -> None:
        self._table = {str(source): frozenset(map(str, to)) for source, to in table.items()}

    def allows(self, source: str, target: str) -> bool:
        """Whether `target` may follow `source`."""
        return target in self._table[source]

    def sources(self, target: str) -> frozenset[str]:
        """The states from which `target` can be reached in one step."""
        return frozenset(source for source, targets in self._table.items() if target in targets)

    def successors(self, source: str) -> frozenset[str]:
        """The states that may follow `source`."""
        return self._table[source]

    @property
    def states(self) -> frozenset[str]:
        """Every state of the table."""
        return frozenset(self._table)

    @property
    def final(self) -> frozenset[str]:
        """The states that nothing follows."""
        return frozenset(source for source, targets in self._table.items() if not targets)


def move(rows: QuerySet[Any], *, to: str, sources: Iterable[str], **changes: Any) -> int:
    """Compare-and-set: rows whose status is among `sources` get the status `to` and `changes`,
    of which `last_updated` is now unless it is told.

    Returns how many rows moved; one writer alone wins a row. `rows` are named by their keys."""
    changed = {"status": to, "last_updated": timezone.now()} | changes
    # Said by what it is not: an index on the status would be taken instead of the keys where such
    # rows are thought to be rare, and holds an entry of every row that has been so since the last
    # vacuum.
    known = {value for value, _ in rows.model._meta.get_field("status").choices}
    return rows.exclude(status__in=sorted(known.difference(sources))).update(**changed)
