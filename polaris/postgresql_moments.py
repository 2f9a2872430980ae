"""Reads PostgreSQL's moments quickly: Django's own reader takes them apart by a regular expression,
and of a claimed call there are seven.

Imported where the database is PostgreSQL, for psycopg is optional."""

from datetime import UTC, datetime
from typing import Any

from psycopg.types.datetime import TimestamptzLoader


class Moments(TimestamptzLoader):
    """Reads a `timestamptz` of a connection that speaks UTC."""

    # Django asks its reader for it.
    timezone = UTC

    def load(self, data: Any) -> datetime:
        """Aware, in UTC. What Python's calendar does not hold is psycopg's to refuse."""
        try:
            return datetime.fromisoformat(bytes(data).decode())
        except ValueError:
            return super().load(data)
