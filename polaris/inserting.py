"""Writes rows by SQL that is built once for each model.

The ORM builds it anew for every row, which takes longer than the row itself (docs/decisions/0008,
0015, 0020, 0022). Nothing is told to signals, and every other database has the portable twin.

PostgreSQL takes many rows as one parameter, a JSON text that it reads by the table's own types:
neither side has a statement to take apart that grows with the rows."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection, models
from django.db.models import Field, Model

from polaris.database import is_mongodb
from polaris.gathering import gathering

# Fields whose attribute is what JSON and their column take.
_AS_THEY_ARE = {
    models.CharField,
    models.TextField,
    models.DateTimeField,
    models.ForeignKey,
    models.JSONField,
    models.PositiveIntegerField,
    models.PositiveSmallIntegerField,
}
# Those whose attribute psycopg takes: JSON would be adapted.
_TAKEN = _AS_THEY_ARE - {models.JSONField}


def _moment(value: object) -> str:
    """Moments are the one thing that a column takes and JSON does not; nothing else is guessed."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is written as no JSON")


_to_json = json.JSONEncoder(separators=(",", ":"), default=_moment).encode


def insert(row: Model) -> None:
    """Insert a new row, as `save(force_insert=True)` does. Raises IntegrityError."""
    if is_mongodb():
        row.save(force_insert=True)
        return
    columns = tuple(str(field.column) for field in row._meta.local_concrete_fields)
    _execute(_statement(row._meta.db_table, columns, 1), _values(row))
    row._state.adding, row._state.db = False, connection.alias


def insert_all(rows: Sequence[Model]) -> None:
    """Insert new rows of one model, as `bulk_create` does. Raises IntegrityError."""
    if not rows:
        return
    model = type(rows[0])
    if connection.vendor != "postgresql":
        model._default_manager.bulk_create(rows)
        return
    fields = tuple(model._meta.local_concrete_fields)
    columns = tuple(str(field.column) for field in fields)
    _execute(_from_json(model._meta.db_table, columns), [_as_json(rows, fields)])
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def write_each(rows: Sequence[Model], names: Collection[str]) -> None:
    """Write these fields of rows of one model that exist and that the transaction in hand has
    locked: each row its own values, all in one statement."""
    if not rows:
        return
    model = type(rows[0])
    if connection.vendor != "postgresql":
        model._default_manager.bulk_update(rows, names)
        return
    key = model._meta.pk
    written = tuple(each for each in model._meta.local_concrete_fields if each.name in names)
    columns = tuple(str(field.column) for field in written)
    statement = _update_from_json(model._meta.db_table, str(key.column), columns)
    with connection.cursor() as cursor:
        cursor.execute(statement, [_as_json(rows, (key, *written))])


def change(row: Model, changes: Mapping[str, Any], **only_if: Any) -> bool:
    """Compare-and-set of one row, as `filter(pk=…, **only_if).update(**changes)`: says whether it
    was changed. `row` itself stays as it is. All names are those of fields, and no value of
    `only_if` is None."""
    wanted = {row._meta.pk.name: row.pk} | only_if
    if is_mongodb():
        return bool(type(row)._default_manager.filter(**wanted).update(**changes))
    changed, set_to = _columns(row, changes)
    asked, values = _columns(row, wanted)
    with connection.cursor() as cursor:
        cursor.execute(_update(row._meta.db_table, changed, asked), [*set_to, *values])
        return cursor.rowcount > 0


def insert_values(
    model: type[Model], columns: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows of a model whose values are such as the database takes, in one statement."""
    if connection.vendor == "postgresql":
        told = [dict(zip(columns, row, strict=True)) for row in rows]
        _execute(_from_json(model._meta.db_table, columns), [_to_json(told)])
        return
    values = [value for row in rows for value in row]
    _execute(_statement(model._meta.db_table, columns, len(rows)), values)


def _execute(statement: str, values: Sequence[Any]) -> None:
    """Now, or together with what else `inserted_together` inserts."""
    if unbegun := gathering():
        unbegun.add(statement, values)
        return
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _columns(row: Model, told: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Any]]:
    fields: list[Any] = [row._meta.get_field(name) for name in told]
    values = [
        field.get_db_prep_save(value, connection)
        for field, value in zip(fields, told.values(), strict=True)
    ]
    return tuple(field.column for field in fields), values


def _values(row: Model) -> list[Any]:
    told = row.__dict__
    return [
        told[attribute]
        if attribute
        else field.get_db_prep_save(field.pre_save(row, True), connection)
        for attribute, field in _read_by(type(row), connection.vendor)
    ]


@lru_cache(maxsize=100)
def _read_by(model: type[Model], vendor: str) -> list[tuple[str, "Field[Any, Any]"]]:
    """Each field, with the name of its attribute where that is what the driver takes as it is."""
    return [
        (each.attname if vendor == "postgresql" and _is_as_it_is(each, _TAKEN) else "", each)
        for each in model._meta.local_concrete_fields
    ]


def _as_json(rows: Sequence[Model], fields: Sequence["Field[Any, Any]"]) -> str:
    plain = [
        (str(each.column), each.attname) for each in fields if _is_as_it_is(each, _AS_THEY_ARE)
    ]
    others = [(str(each.column), each) for each in fields if not _is_as_it_is(each, _AS_THEY_ARE)]
    told = []
    for row in rows:
        values = row.__dict__
        one = {column: values[attribute] for column, attribute in plain}
        for column, field in others:
            one[column] = field.get_db_prep_save(field.pre_save(row, row._state.adding), connection)
        told.append(one)
    return _to_json(told)


def _is_as_it_is(field: "Field[Any, Any]", kinds: Collection[type]) -> bool:
    return type(field) in kinds and not getattr(field, "auto_now", False)


@lru_cache(maxsize=100)
def _from_json(table: str, columns: tuple[str, ...]) -> str:
    """Only names of ours get into it."""
    named = ", ".join(f'"{name}"' for name in columns)
    return (
        f'INSERT INTO "{table}" ({named}) '  # noqa: S608
        f'SELECT {named} FROM json_populate_recordset(NULL::"{table}", %s)'
    )


@lru_cache(maxsize=100)
def _update_from_json(table: str, key: str, columns: tuple[str, ...]) -> str:
    """Only names of ours get into it."""
    changed = ", ".join(f'"{name}" = told."{name}"' for name in columns)
    return (
        f'UPDATE "{table}" SET {changed} '  # noqa: S608
        f'FROM json_populate_recordset(NULL::"{table}", %s) AS told '
        f'WHERE "{table}"."{key}" = told."{key}"'
    )


@lru_cache(maxsize=1000)
def _update(table: str, changed: tuple[str, ...], asked: tuple[str, ...]) -> str:
    """Only names of ours get into it."""
    values = ", ".join(f'"{name}" = %s' for name in changed)
    wanted = " AND ".join(f'"{name}" = %s' for name in asked)
    return f'UPDATE "{table}" SET {values} WHERE {wanted}'  # noqa: S608


@lru_cache(maxsize=1000)
def _statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    """Only names of ours get into it."""
    named = ", ".join(f'"{name}"' for name in columns)
    one = f"({', '.join(['%s'] * len(columns))})"
    return f'INSERT INTO "{table}" ({named}) VALUES {", ".join([one] * rows)}'  # noqa: S608
