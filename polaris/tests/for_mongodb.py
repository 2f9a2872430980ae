"""Puts every query that a test sends to SQLite or PostgreSQL into MongoDB's words as well.

For `FOR_MONGODB=1 bin/test`, which brings the fixture (conftest.py). The back end compiles each
query and BSON encodes it, without a server; a test fails whose query the back end refuses. What a
server would answer it does not show."""

import threading
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import bson
import pytest
from django.db import NotSupportedError, connections
from django.db.models.sql import compiler
from django_mongodb_backend.base import DatabaseWrapper

from polaris.tests.stack import HOME

# Functions that choose another query on MongoDB, and what they ask elsewhere.
_HAVE_TWINS = {"delete_where", "write_each"}

_ALIAS = "in MongoDB's words"
_refused: list[str] = []


class _Collection:
    """Takes what can be encoded, and finds nothing."""

    def aggregate(self, pipeline: list[Any], **_: Any) -> Iterator[Any]:
        _encode(pipeline)
        return iter(())

    def insert_many(self, documents: list[Any], **_: Any) -> Any:
        _encode(documents)
        return type("Inserted", (), {"inserted_ids": []})

    def update_many(self, *words: Any, **_: Any) -> Any:
        _encode(words)
        return type("Updated", (), {"matched_count": 0})

    def delete_many(self, *words: Any, **_: Any) -> Any:
        _encode(words)
        return type("Deleted", (), {"deleted_count": 0})


def _encode(words: Any) -> None:
    bson.encode({"said": list(words)})


class _NoServer(DatabaseWrapper):
    def get_collection(self, name: str, **_: Any) -> Any:
        return _Collection()

    def get_database_version(self) -> tuple[int, ...]:
        return (6, 0)


class _OfThisThread(threading.local):
    """A connection is one thread's, as Django's are."""

    def __init__(self) -> None:
        self.connection = _NoServer(
            {"NAME": "none", "HOST": "", "OPTIONS": {}, "TIME_ZONE": None}, _ALIAS
        )


_mongodb = _OfThisThread()


def _watched(execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.connection.vendor != "mongodb":
            _compile(self)
        return execute(self, *args, **kwargs)

    return run


def _compile(own: Any) -> None:
    ours = [
        frame
        for frame in traceback.extract_stack()
        if Path(frame.filename).is_relative_to(HOME) and ".venv" not in frame.filename
    ]
    if any(frame.name in _HAVE_TWINS for frame in ours):
        return
    asker = next((each for each in reversed(ours) if "tests" not in each.filename), ours[-1])
    connections[_ALIAS] = _mongodb.connection
    words = own.query.clone().get_compiler(_ALIAS)
    try:
        words.execute_sql(None) if hasattr(own.query, "objs") else words.execute_sql("multi")
    except (
        NotSupportedError,
        TypeError,
        ValueError,
        AttributeError,
        bson.InvalidDocument,
    ) as error:
        where = f"{Path(asker.filename).relative_to(HOME)}:{asker.lineno} {asker.name}"
        _refused.append(f"{where}: {error!r}")


for kind in (compiler.SQLCompiler, compiler.SQLInsertCompiler, compiler.SQLUpdateCompiler):
    kind.execute_sql = _watched(kind.execute_sql)  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def what_mongodb_refuses() -> Iterator[None]:
    _refused.clear()
    yield
    assert not _refused, "\n".join(dict.fromkeys(_refused))
