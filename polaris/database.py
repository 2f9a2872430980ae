"""The one `atomic` and `on_commit` that everybody uses, real on every database we serve.

Under MongoDB Django's own `transaction.atomic` does nothing and its `on_commit` fires even when
the block fails, so the back end's own pair takes their place there.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
    transaction,
)
from django.db.models import Case, Model, Value, When

_KEPT_SECONDS = 300
# So long a request waits for a connection of the pool; then it is a 503, as while one is made.
_POOL_SECONDS = 3.0
_turn = threading.RLock()


def is_mongodb() -> bool:
    """Whether the default database is MongoDB."""
    return connection.vendor == "mongodb"


def can_skip_locked() -> bool:
    """Whether rows can be locked while those that others hold are passed over."""
    return connection.features.has_select_for_update_skip_locked


def atomic(*, savepoint: bool = True) -> AbstractContextManager[None]:
    """A transaction, or a savepoint inside one.

    Without the savepoint, which costs two round trips, an error undoes the whole transaction."""
    if is_mongodb():
        return _mongodb_atomic()
    block = transaction.atomic(savepoint=savepoint)
    return block if connection.in_atomic_block else _in_turn(block)


def one_statement() -> AbstractContextManager[None]:
    """For a single write that may be refused: nothing, or a savepoint inside a transaction."""
    return atomic() if connection.in_atomic_block else _in_turn(nullcontext())


@contextmanager
def _in_turn(block: AbstractContextManager[None]) -> Iterator[None]:
    """SQLite has one writer at a time, and who waits for it looks again every tenth of a second:
    the threads of a process queue up by themselves and look at SQLite one after the other."""
    with _turn if connection.vendor == "sqlite" else nullcontext(), block:
        yield


@contextmanager
def sent_together() -> Iterator[None]:
    """For writes inside a transaction: where the database can, they go in one round trip.

    What the database says of any of them is raised at the end of the block; how many rows they
    changed is not told. No `atomic` may begin or end within."""
    if connection.vendor != "postgresql":
        yield
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


@contextmanager
def committed_together() -> Iterator[None]:
    """A transaction of writes alone: where the database can, they and the commit go in one round
    trip. What the database says of any of them is raised at the end of the block.

    Inside another transaction it is a part of that one, as `atomic` is."""
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        with atomic():
            yield
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline(), atomic():
        yield


def on_commit(callback: Callable[[], object]) -> None:
    """Run `callback` once the transaction in hand is committed; at once where there is none."""
    if is_mongodb():
        from django_mongodb_backend import transaction as mongodb  # noqa: PLC0415 (optional)

        mongodb.on_commit(callback)
        return
    transaction.on_commit(callback)


@contextmanager
def _mongodb_atomic() -> Iterator[None]:
    """The back end's transaction, mended: a commit that fails leaves nothing for the next block."""
    from django_mongodb_backend.transaction import atomic  # noqa: PLC0415 (optional)
    from pymongo.errors import PyMongoError  # noqa: PLC0415 (optional)

    database: Any = connection
    try:
        with atomic():
            yield
    except PyMongoError as error:
        raise DatabaseError(str(error)) from error
    finally:
        if database.session is not None and not database.in_atomic_block_mongo:
            database._end_session()
            database.run_on_commit = []


def write_each(rows: Sequence[Model], fields: Collection[str]) -> None:
    """Write `fields` of rows that exist and that the transaction in hand has locked.

    Where the database can, by one INSERT … ON CONFLICT, whose SQL takes a fifth of the time to
    build (docs/decisions/0009); elsewhere by an UPDATE with a CASE for each field."""
    if not rows:
        return
    model = type(rows[0])
    if connection.vendor == "postgresql":
        model._default_manager.bulk_create(
            rows, update_conflicts=True, unique_fields=[model._meta.pk.name], update_fields=fields
        )
    else:
        model._default_manager.bulk_update(rows, fields)


def by_row(values: Mapping[str, Any]) -> Case:
    """An expression for `update()` that gives each row, named by its key, a value of its own."""
    return Case(*(When(pk=key, then=Value(value)) for key, value in values.items()))


def keep_connections(*, checked: bool = True) -> None:
    """Keep this process's connections between requests or jobs: its threads are few and live long.

    Each is `checked` before it is used again, or renewed where it fails."""
    for alias in connections:
        database = connections.settings[alias]
        database["CONN_MAX_AGE"] = _KEPT_SECONDS
        database["CONN_HEALTH_CHECKS"] = checked and database["CONN_HEALTH_CHECKS"]


def share_connections(most: int) -> None:
    """Have this process's threads share at most so many connections, by a pool that keeps and
    checks them, instead of one for each thread. On PostgreSQL alone."""
    for alias in connections:
        pool = {"min_size": 1, "max_size": most, "timeout": _POOL_SECONDS}
        connections.settings[alias]["OPTIONS"]["pool"] = pool


def is_out_of_reach(error: BaseException) -> bool:
    """Whether an error says that the database cannot be used just now: it is away, or too busy.

    What it would refuse again at any time is none of these."""
    if is_mongodb():
        return _is_mongodb_out_of_reach(error)
    # What SQLite says of a table that is missing is an OperationalError too.
    return isinstance(error, (OperationalError, InterfaceError)) and not str(error).startswith(
        "no such"
    )


def _is_mongodb_out_of_reach(error: BaseException) -> bool:
    from pymongo.errors import ConnectionFailure  # noqa: PLC0415 (optional)

    return any(isinstance(each, ConnectionFailure) for each in (error, error.__cause__))


def renew_connection() -> None:
    """Drop this thread's connection where it is broken or too old; one in a transaction is kept.

    For threads that outlive their connection: Django does this for requests only."""
    if not connection.in_atomic_block:
        close_old_connections()


def in_one_line(error: BaseException) -> str:
    """What a database said, without the hints that drivers add below."""
    return str(error).partition("\n")[0]
