"""Whether the database has the tables that this code expects."""

from dataclasses import dataclass
from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


@dataclass(slots=True)
class _Seen:
    are_applied: bool = False


_seen = _Seen()


def are_migrations_applied() -> bool:
    """Asked of the database until the answer is yes: a process outlives no going back."""
    if not _seen.are_applied:
        applied = MigrationRecorder(connection).applied_migrations()
        _seen.are_applied = _expected() <= applied.keys()
    return _seen.are_applied


def forget() -> None:
    """Ask the database again."""
    _seen.are_applied = False


@cache
def _expected() -> frozenset[tuple[str, str]]:
    """The last migration of each app, as the files have them."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())
