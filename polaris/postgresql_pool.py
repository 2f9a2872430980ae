"""A connection that a pool shares (DATABASE_POOL). Imported only where PostgreSQL's drivers are.

psycopg's pool checks a connection before it hands it out, and takes another where that fails: the
next at once, the third after a second, the fourth after two more. A server that restarts ends all
of them, so a request would wait for the pool's time-out while good ones have long been made."""

from typing import Any

from psycopg import Connection, OperationalError


class SharedConnection(Connection[Any]):
    """Where one is found to be broken, so are the others that wait: all are made anew."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """What the pool checks it by; Django goes by cursors."""
        try:
            return super().execute(*args, **kwargs)
        except OperationalError:
            pool = getattr(self, "_pool", None)
            if pool is not None:
                pool.drain()
            raise
