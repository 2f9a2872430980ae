"""The one `atomic` and `on_commit` that everybody uses, real on every database we serve.

Under MongoDB Django's own `transaction.atomic` does nothing and its `on_commit` fires even when
the block fails, so the back end's own pair takes their place there.
"""

import re
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
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
from django.db.models import CharField, DateTimeField, ForeignKey, Lookup, Q, QuerySet

from polaris.gathering import gathered, gathering

_KEPT_SECONDS = 300
_CHECKED_SECONDS = 1.0
_CONFLICTS = {"40001", "40P01"}  # serialization_failure, deadlock_detected
_HINTS = re.compile(r"\n| \(configured timeouts: |, Timeout: [0-9.]+s, |, full error: ")
# So long a request waits for a connection of the pool; then it is a 503, as while one is made.
_POOL_SECONDS = 3.0
_turn = threading.RLock()


def is_mongodb() -> bool:
    """Whether the default database is MongoDB."""
    return connection.vendor == "mongodb"


def refuse_unfit_server() -> None:
    """Raises ImproperlyConfigured where the database is a MongoDB that cannot do what we need.

    What PostgreSQL and SQLite can do, Django itself sees to."""
    if is_mongodb():
        from polaris.mongodb_server import refuse_unfit  # noqa: PLC0415 (optional)

        refuse_unfit()


def locked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """These rows, to be read once with the locks that an update of them would take."""
    if is_mongodb():
        touch(rows)
        return rows
    return rows.select_for_update(no_key=True)


def can_skip_locked() -> bool:
    """Whether rows can be locked while those that others hold are passed over."""
    return connection.features.has_select_for_update_skip_locked


def atomic(*, savepoint: bool = True) -> AbstractContextManager[None]:
    """A transaction, or a savepoint inside one.

    Without the savepoint, which costs two round trips, an error undoes the whole transaction."""
    if is_mongodb():
        return _mongodb_atomic()
    if unbegun := gathering():
        unbegun.begin()
    block = transaction.atomic(savepoint=savepoint)
    return block if connection.in_atomic_block else _in_turn(block)


def one_statement() -> AbstractContextManager[None]:
    """For a single write that may be refused: nothing, or a savepoint inside a transaction."""
    return atomic() if in_transaction() else _in_turn(nullcontext())


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


def inserted_together() -> AbstractContextManager[None]:
    """A transaction of inserts (polaris.inserting): one statement where the database can.

    What the database says of any of them is raised at the end of the block. Inside another
    transaction it is a part of that one, as `atomic` is; so it is where anything else is asked."""
    if connection.vendor != "postgresql" or in_transaction():
        return atomic()
    return gathered()


def in_transaction() -> bool:
    """Whether a transaction is open that can be undone."""
    database: Any = connection
    # Django's own may be open there, too, but undoes nothing.
    if is_mongodb():
        return bool(database.in_atomic_block_mongo)
    return database.in_atomic_block or gathering() is not None


def require_transaction() -> None:
    """Raises TransactionManagementError where none is open: a lock would hold nothing."""
    if not in_transaction():
        raise transaction.TransactionManagementError(
            "A lock outside of a transaction holds nothing."
        )


def on_commit(callback: Callable[[], object]) -> None:
    """Run `callback` once the transaction in hand is committed; at once where there is none."""
    if is_mongodb():
        from django_mongodb_backend import transaction as mongodb  # noqa: PLC0415 (optional)

        mongodb.on_commit(callback)
        return
    if unbegun := gathering():
        unbegun.on_commit(callback)
    else:
        transaction.on_commit(callback)


@contextmanager
def _mongodb_atomic() -> Iterator[None]:
    """The back end's transaction, mended: a commit that fails leaves nothing for the next block."""
    from django_mongodb_backend.transaction import atomic  # noqa: PLC0415 (optional)

    database: Any = connection
    try:
        with atomic():
            yield
    except _mongodb_error() as error:
        raise DatabaseError(str(error)) from error
    finally:
        if database.session is not None and not database.in_atomic_block_mongo:
            database._end_session()
            database.run_on_commit = []


def among(field: str, keys: Iterable[str | datetime]) -> Q:
    """Rows whose `field` is one of these ids or hashes of ours, or one of these moments.

    For many: where the database can, they are one parameter, and the statement stays short."""
    if connection.vendor == "postgresql":
        return Q(**{f"{field}__among": _Keys(in_one_text(keys))})
    return Q(**{f"{field}__in": list(keys)})


def in_one_text(keys: Iterable[str | datetime]) -> str:
    """As `among` tells them to PostgreSQL: neither ids nor hashes of ours hold a comma."""
    return ",".join(key if isinstance(key, str) else key.isoformat() for key in keys)


@dataclass(frozen=True, slots=True)
class _Keys:
    """The ORM looks at a text for a foreign key letter by letter."""

    text: str


class _Among(Lookup):
    lookup_name = "among"
    prepare_rhs = False
    keys = "string_to_array(%s, ',')"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, params = self.process_lhs(compiler, connection)
        return f"{left} = ANY({self.keys})", (*params, self.rhs.text)


class _AmongMoments(_Among):
    keys = "string_to_array(%s, ',')::timestamptz[]"


CharField.register_lookup(_Among)
ForeignKey.register_lookup(_Among)
DateTimeField.register_lookup(_AmongMoments)


def touch(rows: QuerySet[Any], **values: Any) -> None:
    """Take the locks of rows until the transaction ends, before anything is read of them: by an
    update with `values`, which may change nothing.

    MongoDB does not write what does not change, so there the documents get a new mark."""
    if not is_mongodb():
        rows.update(**values)
        return
    from bson import ObjectId  # noqa: PLC0415 (optional)

    database: Any = connection
    key = rows.model._meta.pk.column
    found = {key: {"$in": list(rows.order_by().values_list("pk", flat=True))}}
    try:
        database.get_collection(rows.model._meta.db_table).update_many(
            found, {"$set": {"_lock": ObjectId()}}, session=database.session
        )
    except _mongodb_error() as error:
        raise DatabaseError(str(error)) from error


def delete_where(rows: QuerySet[Any]) -> tuple[int, dict[str, int]]:
    """Delete rows whose conditions speak of other tables, as `rows.delete()` does.

    MongoDB deletes by conditions on one collection alone: there the transaction asks for the keys
    first, and a row that somebody changes meanwhile undoes it."""
    if is_mongodb():
        keys = list(rows.order_by().values_list("pk", flat=True))
        rows = rows.model._default_manager.filter(pk__in=keys)
    return rows.delete()


def read_moments_quickly(connection: Any, **_: Any) -> None:
    """For Django's signal that a connection has been made."""
    if connection.vendor == "postgresql" and connection.timezone_name == "UTC":
        from polaris.postgresql_moments import Moments  # noqa: PLC0415 (optional)

        connection.connection.adapters.register_loader("timestamptz", Moments)


def keep_connections(*, checked: bool = True) -> None:
    """Keep this process's connections between requests or jobs: its threads are few and live long.

    Each is `checked` before it is used again, or renewed where it fails. See `spare_check`."""
    for alias in connections:
        database = connections.settings[alias]
        database["CONN_MAX_AGE"] = _KEPT_SECONDS
        database["CONN_HEALTH_CHECKS"] = checked and database["CONN_HEALTH_CHECKS"]


class _Checked(threading.local):
    """When this thread's connection was last left to be checked."""

    at = float("-inf")


_checked = _Checked()


def spare_check() -> None:
    """Leave out the check of this thread's kept connection, a round trip, where one was due within
    the last second and nothing has come since: a server that ends it says so, or closes it."""
    moment = time.monotonic()
    if moment - _checked.at >= _CHECKED_SECONDS:
        _checked.at = moment
    elif connection.vendor == "postgresql" and _is_silent(connection.connection):
        kept: Any = connection
        kept.health_check_done = True


def _is_silent(kept: Any) -> bool:
    if kept is None or kept.closed:
        return False
    news = select.poll()
    news.register(kept.fileno(), select.POLLIN)
    return not news.poll(0)


def share_connections(most: int) -> None:
    """Have this process's threads share at most so many connections, by a pool that keeps and
    checks them, instead of one for each thread. On PostgreSQL alone."""
    from polaris.postgresql_pool import SharedConnection  # noqa: PLC0415 (optional)

    for alias in connections:
        pool: dict[str, Any] = {"min_size": 1, "max_size": most, "timeout": _POOL_SECONDS}
        pool["connection_class"] = SharedConnection
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


def is_away(error: BaseException) -> bool:
    """Whether after this error of a transaction another one is not worth a try just now: there is
    no connection or, on SQLite, the one writer that we have waited for does not come to an end."""
    if is_mongodb():
        return any(map(_is_mongodb_away, _with_causes(error)))
    if not is_out_of_reach(error):
        return False
    if connection.vendor == "sqlite":
        return "locked" in str(error)
    return connection.connection is None or not connection.is_usable()


def _is_mongodb_out_of_reach(error: BaseException) -> bool:
    return is_conflict(error) or any(map(_is_mongodb_away, _with_causes(error)))


def _is_mongodb_away(error: BaseException) -> bool:
    from pymongo.errors import ConnectionFailure  # noqa: PLC0415 (optional)

    return isinstance(error, ConnectionFailure)


def is_conflict(error: BaseException) -> bool:
    """Whether the database has undone the transaction because another writer was in its way:
    nothing of it has happened, and it may be tried again from its beginning."""
    if is_mongodb():
        return any(map(_is_mongodb_conflict, _with_causes(error)))
    return any(getattr(each, "sqlstate", "") in _CONFLICTS for each in _with_causes(error))


def _is_mongodb_conflict(error: BaseException) -> bool:
    """The server puts a label on what may be repeated; so does the driver where the server has
    gone, but then there is nobody to repeat it."""
    if not isinstance(error, _mongodb_error()):
        return False
    is_undone: bool = error.has_error_label("TransientTransactionError")
    return is_undone and not _is_mongodb_away(error)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _mongodb_error() -> Any:
    from pymongo.errors import PyMongoError  # noqa: PLC0415 (optional)

    return PyMongoError


def renew_connection(*, is_checked: bool = False) -> None:
    """Drop this thread's connection where it is broken or too old; one in a transaction is kept.

    For threads that outlive their connection: Django does this for requests only. What the server
    has ended unnoticed is found where it `is_checked`, which costs a round trip."""
    if connection.in_atomic_block:
        return
    close_old_connections()
    if is_checked and not is_mongodb() and connection.connection and not connection.is_usable():
        connection.close()


def in_one_line(error: BaseException) -> str:
    """What a database said, without the hints that drivers add below or behind."""
    said = str(error) or str(error.__cause__ or type(error).__name__)
    return _HINTS.split(said, maxsplit=1)[0]
