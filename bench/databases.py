"""Scratch databases of a run, on a PostgreSQL server that somebody else runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import psycopg


class Server:
    """Creates databases that are named after this process, and drops them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._made: list[str] = []

    def create(self, name: str, *, like: str = "") -> str:
        """A fresh database, a copy of the database at `like` where that is given; its address."""
        database = f"polaris_bench_{os.getpid()}_{name}"
        template = f' TEMPLATE "{_name(like)}"' if like else ""
        with self._maintenance() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{database}"{template}')
        self._made.append(database)
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def drop(self, url: str) -> None:
        """Away with a database of ours."""
        with self._maintenance() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')
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
        )
        with self._maintenance() as connection:
            return {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in names}

    @contextmanager
    def _maintenance(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection


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
