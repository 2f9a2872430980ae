"""Scratch databases of a run, on a PostgreSQL server that somebody else runs."""

import os
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bench.processes import Failed

_RUN = 20_100_401  # names the lock of a run


class Server:
    """Creates databases that are named after this process, and drops them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: list[str] = []
        self._connection = psycopg.connect(url, autocommit=True)
        # Two runs at once would measure each other, and empty each other's broker.
        (alone,) = self._connection.execute("SELECT pg_try_advisory_lock(%s)", [_RUN]).fetchone()
        if not alone:
            raise Failed("another run is under way on this PostgreSQL server")

    def create(self, name: str) -> str:
        """A fresh database; its address."""
        database = f"polaris_bench_{os.getpid()}_{name}"
        self._connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        self._connection.execute(f'CREATE DATABASE "{database}"')
        self._made.append(database)
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def drop(self, url: str) -> None:
        """Away with a database of ours."""
        self._connection.execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')
        self._made.remove(_name(url))

    def drop_all(self) -> None:
        """Away with all of them."""
        for database in list(self._made):
            with suppress(psycopg.Error):
                self.drop(f"//host/{database}")

    def conditions(self) -> dict[str, str]:
        """What of its configuration bears upon the figures."""
        names = (
            "server_version",
            "fsync",
            "synchronous_commit",
            "shared_buffers",
            "full_page_writes",
            "autovacuum",
        )
        return {name: self._connection.execute(f"SHOW {name}").fetchone()[0] for name in names}


def ask(url: str, query: str) -> int:
    """The one number that a query gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchone()[0]


def execute(url: str, *statements: str) -> None:
    """Run statements, each committed by itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")
