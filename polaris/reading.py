"""Reads a row by its key with SQL that is built once for each model.

The ORM builds it anew for every row, which takes longer than to read it (docs/decisions/0022).
What MongoDB is asked has no SQL: there it is the ORM that reads."""

import threading
from dataclasses import dataclass
from typing import TypeVar

from django.db import connection, models

from polaris.compiled import Columns
from polaris.database import is_mongodb, locked, require_transaction
from polaris.loading import loaded

Row = TypeVar("Row", bound=models.Model)


def read(model: type[Row], key: str, *, with_lock: bool = False) -> Row | None:
    """The row of that key, as a queryset would give it; None where there is none.

    `with_lock` is for a transaction: with the lock that an update of the row would take."""
    if is_mongodb():
        return next(iter(_rows(model, key, with_lock=with_lock)), None)
    if with_lock:
        require_transaction()
    asking = _asking(model, with_lock=with_lock)
    with connection.cursor() as cursor:
        cursor.execute(asking.statement, [key])
        values = cursor.fetchone()
    if values is None:
        return None
    return loaded(model, asking.columns.names, asking.columns.told(values))


def _rows(model: type[Row], key: str, *, with_lock: bool) -> models.QuerySet[Row]:
    rows = model._default_manager.filter(pk=key).order_by()
    return locked(rows) if with_lock else rows


@dataclass(frozen=True, slots=True)
class _Asking:
    """A statement that the ORM has built, whose one parameter is the key."""

    statement: str
    columns: Columns


class _Kept(threading.local):
    """Of each thread: some of what converts belongs to the thread's connection."""

    def __init__(self) -> None:
        self.askings: dict[tuple[type[models.Model], bool], _Asking] = {}


_kept = _Kept()


def _asking(model: type[models.Model], *, with_lock: bool) -> _Asking:
    key = (model, with_lock)
    if key not in _kept.askings:
        _kept.askings[key] = _build(model, with_lock=with_lock)
    return _kept.askings[key]


def _build(model: type[models.Model], *, with_lock: bool) -> _Asking:
    query = _rows(model, "", with_lock=with_lock).query
    compiler = query.get_compiler(connection=connection)
    statement, _ = compiler.as_sql()
    return _Asking(statement, Columns.of(compiler))
