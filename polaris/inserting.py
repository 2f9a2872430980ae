"""Inserts new rows by SQL that is built once for each model.

The ORM builds it anew for every row, which takes longer than the row itself (docs/decisions/0008,
0015). Nothing is told to signals, and MongoDB has the portable twin."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Model

from polaris.database import is_mongodb


def insert(row: Model) -> None:
    """Insert a new row, as `save(force_insert=True)` does. Raises IntegrityError."""
    if is_mongodb():
        row.save(force_insert=True)
        return
    columns = tuple(str(field.column) for field in row._meta.local_concrete_fields)
    insert_values(type(row), columns, [_values(row)])
    row._state.adding, row._state.db = False, connection.alias


def insert_values(
    model: type[Model], columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows of a model whose values are such as the database takes, in one statement."""
    with connection.cursor() as cursor:
        values = [value for row in rows for value in row]
        cursor.execute(_statement(model._meta.db_table, columns, len(rows)), values)


def _values(row: Model) -> list[Any]:
    return [
        field.get_db_prep_save(field.pre_save(row, True), connection)
        for field in row._meta.local_concrete_fields
    ]


@lru_cache(maxsize=1000)
def _statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    """Only names of ours get into it."""
    named = ", ".join(f'"{name}"' for name in columns)
    one = f"({', '.join(['%s'] * len(columns))})"
    return f'INSERT INTO "{table}" ({named}) VALUES {", ".join([one] * rows)}'  # noqa: S608
