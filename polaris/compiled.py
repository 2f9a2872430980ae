"""Statements of the ORM that are put into SQL once.

Django builds the SQL of a query anew each time, which takes longer than the database does to answer
(docs/decisions/0024). Where the engine asks the same thing at every claim, a function says in the
ORM's words what it asks; on PostgreSQL its SQL is kept, and only its values change. Every other
database has the ORM itself."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Any, TypeVar, cast

from django.db import connection, models
from django.db.models.query import FlatValuesListIterable, ModelIterable, ValuesListIterable

from polaris.database import in_one_text, require_transaction
from polaris.loading import loaded

Row = TypeVar("Row")

_MAKERS: set[type] = {ModelIterable, ValuesListIterable, FlatValuesListIterable}


def compiled_select(build: Callable[..., Iterable[Row]]) -> Callable[..., list[Row]]:
    """The rows of the query set that `build` returns: models of one table, or its `values_list`.

    Positional arguments are values and get into the query as they are, each a datetime, a text or
    texts for `among`; what they are computed with stays outside of it. Keyword arguments, hashable,
    are a part of the statement: there is one for each. Raises TypeError for any other argument and
    where a value is not found in the statement."""
    known: dict[Hashable, _Select] = {}

    @wraps(build)
    def run(*values: Any, **constants: Any) -> list[Row]:
        if connection.vendor != "postgresql":
            return list(build(*values, **constants))
        key = tuple(constants.items())
        if key not in known:
            known[key] = _Select.of(build, values, constants)
        return cast("list[Row]", known[key].rows(values))

    return run


def compiled_write(build: Callable[..., Any]) -> Callable[..., int]:
    """The one UPDATE or DELETE that `build` does by the ORM: says how many rows it concerned.

    Arguments are those of `compiled_select`. For rows on which nothing else hangs: no signal of
    Django's, no cascade."""
    known: dict[Hashable, _Statement] = {}

    @wraps(build)
    def run(*values: Any, **constants: Any) -> int:
        if connection.vendor != "postgresql":
            done = build(*values, **constants)
            return done[0] if isinstance(done, tuple) else done
        key = tuple(constants.items())
        if key not in known:
            known[key] = _Statement.of(_written, build, values, constants)
        with connection.cursor() as cursor:
            cursor.execute(known[key].sql, known[key].parameters(values))
            return cursor.rowcount

    return run


@dataclass(frozen=True, slots=True)
class _Statement:
    """SQL, its parameters, and the places among these at which each value stands."""

    sql: str
    _fixed: tuple[Any, ...]
    _places: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls,
        compile_: Callable[[Callable[[], Any]], tuple[str, Sequence[Any]]],
        build: Callable[..., Any],
        values: Sequence[Any],
        constants: dict[str, Any],
    ) -> "_Statement":
        """Compiled twice with values that nobody has: what differs otherwise was computed."""
        first, second = (_stand_ins(values, turn) for turn in (1, 2))
        sql, parameters = compile_(partial(build, *first, **constants))
        same_sql, others = compile_(partial(build, *second, **constants))
        told, told_again = [_told(value) for value in first], [_told(value) for value in second]
        places = [(at, told.index(each)) for at, each in enumerate(parameters) if each in told]
        expected = list(parameters)
        for at, value in places:
            expected[at] = told_again[value]
        if sql != same_sql or expected != list(others):
            raise TypeError(f"{build.__qualname__} computes something itself")
        if {value for _, value in places} != {*range(len(values))}:
            raise TypeError(f"{build.__qualname__} does not take each of its values as it is")
        return cls(sql, tuple(parameters), tuple(places))

    def parameters(self, values: Sequence[Any]) -> list[Any]:
        """With these values."""
        filled = list(self._fixed)
        for place, value in self._places:
            filled[place] = _told(values[value])
        return filled


@dataclass(frozen=True, slots=True)
class Columns:
    """What a statement of the ORM's finds: the names of attributes, and by place what turns a
    column's value into the field's, with the expression that it is told."""

    names: Sequence[str]
    _converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]

    @classmethod
    def of(cls, compiler: Any) -> "Columns":
        """Of a compiler that has made its SQL."""
        columns = [column for column, _, _ in compiler.select]
        converters = compiler.get_converters(columns).items()
        return cls(
            [getattr(getattr(column, "target", None), "attname", "") for column in columns],
            [(place, functions, column) for place, (functions, column) in converters],
        )

    def told(self, values: Sequence[Any]) -> Sequence[Any]:
        """A row as its fields have it."""
        if not self._converters:
            return values
        found = list(values)
        for place, functions, column in self._converters:
            for convert in functions:
                found[place] = convert(found[place], column, connection)
        return found


@dataclass(frozen=True, slots=True)
class _Select:
    """A statement, and what becomes of the rows that it finds."""

    statement: _Statement
    columns: Columns
    model: type[models.Model]
    makes: type
    takes_locks: bool

    @classmethod
    def of(cls, build: Callable[..., Any], values: Sequence[Any], constants: Any) -> "_Select":
        kept: list[Any] = []
        statement = _Statement.of(lambda ask: _asked(ask, kept), build, values, constants)
        found, compiler = kept[-1]
        if found._iterable_class not in _MAKERS:
            raise TypeError(f"{build.__qualname__} gives neither models nor a values_list")
        if compiler.klass_info and compiler.klass_info.get("related_klass_infos"):
            raise TypeError(f"{build.__qualname__} gives models of more than one table")
        columns, takes_locks = Columns.of(compiler), found.query.select_for_update
        return cls(statement, columns, found.model, found._iterable_class, takes_locks)

    def rows(self, values: Sequence[Any]) -> list[Any]:
        """Those that are found with these values. Raises TransactionManagementError."""
        if self.takes_locks:
            require_transaction()
        with connection.cursor() as cursor:
            cursor.execute(self.statement.sql, self.statement.parameters(values))
            found = cursor.fetchall()
        told = self.columns.told
        if self.makes is ModelIterable:
            model, names = self.model, self.columns.names
            return [loaded(model, names, told(row)) for row in found]
        if self.makes is FlatValuesListIterable:
            return [told(row)[0] for row in found]
        return [tuple(told(row)) for row in found]


def _asked(ask: Callable[[], Any], kept: list[Any]) -> tuple[str, Sequence[Any]]:
    found = ask()
    compiler = found.query.get_compiler(found.db)
    statement: tuple[str, Sequence[Any]] = compiler.as_sql()
    kept.append((found, compiler))
    return statement


def _written(write: Callable[[], Any]) -> tuple[str, Sequence[Any]]:
    """What would be executed. Nothing is, nor is anybody told who listens to statements."""
    told: list[tuple[str, Sequence[Any]]] = []
    listening, connection.execute_wrappers = connection.execute_wrappers, []
    try:
        with connection.execute_wrapper(lambda _execute, sql, given, *_: told.append((sql, given))):
            write()
    finally:
        connection.execute_wrappers = listening
    if len(told) != 1:
        raise TypeError(f"{len(told)} statements and not one")
    return told[0]


def _stand_ins(values: Sequence[Any], turn: int) -> list[Any]:
    return [_stand_in(value, 1000 * turn + place) for place, value in enumerate(values)]


def _stand_in(value: Any, number: int) -> Any:
    """Of the same kind, and such as no row holds."""
    told = _told(value)
    if isinstance(told, datetime):
        return datetime(1, 1, 1, microsecond=number, tzinfo=UTC)
    return f"\0{number}" if told is value else [f"\0{number}"]


def _told(value: Any) -> Any:
    """As it stands among the parameters: that of `among` is one text."""
    if isinstance(value, (str, datetime)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return in_one_text(value)
    raise TypeError(f"{type(value).__name__} is no value of a compiled statement")
