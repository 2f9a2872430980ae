"""Writes rows by SQL that is built once for each model.

The ORM builds it anew for every row, which takes longer than the row itself (docs/decisions/0008,
0015, 0020, 0022). Nothing is told to signals, and every other database has the portable twin.

PostgreSQL takes many rows as one parameter, a JSON text that it reads by the table's own types:
neither side has a statement to take apart that grows with the rows. What is the same in all rows
is another, and is told once."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models import Field, Model

from polaris.database import is_mongodb
from polaris.gathering import execute
from polaris.loading import new

_Made = TypeVar("_Made", bound=Model)
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


_to_json = json.JSONEncoder(separators=(",", ":"), default=_moment, check_circular=False).encode


def made(model: type[_Made], **values: Any) -> _Made:
    """A new row as `model(**values)` makes it, in a fraction of its time. Values go by the names of
    attributes (`schedule_id`); those that are not given are the defaults. Raises TypeError for a
    name that is none."""
    names = _attributes(model)
    if unknown := values.keys() - names.keys():
        raise TypeError(f"{model.__name__} has no {', '.join(sorted(unknown))}")
    told = [values[name] if name in values else default() for name, default in names.items()]
    return new(model, names, told)


@lru_cache(maxsize=100)
def _attributes(model: type[Model]) -> dict[str, Callable[[], Any]]:
    return {field.attname: field.get_default for field in model._meta.concrete_fields}


def insert(row: Model) -> None:
    """Insert a new row, as `save(force_insert=True)` does. Raises IntegrityError."""
    if is_mongodb():
        row.save(force_insert=True)
        return
    columns = tuple(str(field.column) for field in row._meta.local_concrete_fields)
    execute(_statement(row._meta.db_table, columns, 1), _values(row))
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def insert_all(rows: Sequence[Model]) -> None:
    """Insert new rows of one model, as `bulk_create` does. Raises IntegrityError."""
    if not rows:
        return
    model = type(rows[0])
    if connection.vendor != "postgresql":
        model._default_manager.bulk_create(rows)
        return
    fields = tuple(model._meta.local_concrete_fields)
    _tell(_insert_from_json, model, fields, [_values_of(rows, field) for field in fields])
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def write_each(rows: Sequence[Model], names: Collection[str]) -> None:
    """Write these fields of rows of one model, each row its own values, all in one statement. What
    is gone meanwhile stays away."""
    if not rows:
        return
    model = type(rows[0])
    if connection.vendor != "postgresql":
        model._default_manager.bulk_update(rows, names)
        return
    key = model._meta.pk
    written = (each for each in model._meta.local_concrete_fields if each.name in names)
    fields = (key, *written)
    _tell(_update_from_json, model, fields, [_values_of(rows, field) for field in fields])


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
    if connection.vendor == "postgresql" and len(rows) > 1:
        by_column = {field.column: field for field in model._meta.local_concrete_fields}
        fields = [by_column[name] for name in columns]
        _tell(_insert_from_json, model, fields, list(zip(*rows, strict=True)))
        return
    values = [value for row in rows for value in row]
    execute(_statement(model._meta.db_table, columns, len(rows)), values)


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


def _values_of(rows: Sequence[Model], field: "Field[Any, Any]") -> list[Any]:
    if _is_as_it_is(field, _AS_THEY_ARE):
        return [row.__dict__[field.attname] for row in rows]
    return [
        field.get_db_prep_save(field.pre_save(row, row._state.adding), connection) for row in rows
    ]


def _is_as_it_is(field: "Field[Any, Any]", kinds: Collection[type]) -> bool:
    return type(field) in kinds and not getattr(field, "auto_now", False)


def _tell(
    statement: Callable[..., str],
    model: type[Model],
    fields: Sequence["Field[Any, Any]"],
    values: Sequence[Sequence[Any]],
) -> None:
    """Execute a statement for rows whose `values` are given field by field, the key's first."""
    same = [place for place in range(1, len(fields)) if _are_the_same(values[place])]
    told = [place for place in range(len(fields)) if place not in same]
    names = [str(field.column) for field in fields]
    rows = zip(*(values[place] for place in told), strict=True)
    told_names = [names[place] for place in told]
    parameters = [
        _to_json([dict(zip(told_names, row, strict=True)) for row in rows]),
        _to_json({names[place]: values[place][0] for place in same}),
    ]
    kinds = [tuple((names[place], fields[place]) for place in places) for places in (told, same)]
    execute(statement(model._meta.db_table, *kinds), parameters)


def _are_the_same(values: Sequence[Any]) -> bool:
    """Of lists and dicts it is not asked: in them 1 would be as good as True."""
    first = values[0]
    return not isinstance(first, (list, dict)) and values.count(first) == len(values)


_Columns = tuple[tuple[str, "Field[Any, Any]"], ...]


@lru_cache(maxsize=1000)
def _insert_from_json(table: str, told: _Columns, same: _Columns) -> str:
    """Only names of ours get into it."""
    columns = ", ".join(f'"{name}"' for name, _ in (*told, *same))
    values = ", ".join(_named("told", told) + _named("same", same))
    return f'INSERT INTO "{table}" ({columns}) SELECT {values} FROM {_from_json(told, same)}'  # noqa: S608


@lru_cache(maxsize=1000)
def _update_from_json(table: str, told: _Columns, same: _Columns) -> str:
    """Only names of ours get into it."""
    (key, _), *changed = told
    values = [f'"{name}" = told."{name}"' for name, _ in changed]
    values += [f'"{name}" = same."{name}"' for name, _ in same]
    return (
        f'UPDATE "{table}" SET {", ".join(values)} '  # noqa: S608
        f'FROM {_from_json(told, same)} WHERE "{table}"."{key}" = told."{key}"'
    )


def _from_json(told: _Columns, same: _Columns) -> str:
    rows = f"json_to_recordset(%s) AS told ({_kinds(told)})"
    # It is there even where nothing is the same, and then has no column to name.
    one = f"json_to_record(%s) AS same ({_kinds(same)})" if same else "(SELECT %s) AS same"
    return f"{rows}, {one}"


def _named(source: str, columns: _Columns) -> list[str]:
    return [f'{source}."{name}"' for name, _ in columns]


def _kinds(columns: _Columns) -> str:
    return ", ".join(f'"{name}" {field.db_type(connection)}' for name, field in columns)


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
