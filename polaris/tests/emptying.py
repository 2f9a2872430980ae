"""Empties the database after a test that has committed: only the tables that hold anything.

Django truncates every table, and has its signals write the permissions and content types anew. That
takes up to a third of a second; most tests have written into three tables."""

from functools import lru_cache
from typing import Any

from django.db import connections, transaction
from django.test import TransactionTestCase

# As `migrate` has filled them.
_KEPT = ("django_content_type", "auth_permission")
_by_django = TransactionTestCase._fixture_teardown


def install() -> None:
    """For the rest of this process."""
    TransactionTestCase._fixture_teardown = _fixture_teardown  # type: ignore[method-assign]


def _fixture_teardown(test: Any) -> None:
    databases = [connections[name] for name in test._databases_names(include_mirrors=False)]
    if all(each.vendor in {"postgresql", "sqlite"} and _is_as_migrated(each) for each in databases):
        for each in databases:
            _empty(each)
        return
    _by_django(test)
    for each in databases:
        _as_migrated[_name(each)] = _kept_rows(each)


@lru_cache(maxsize=10)
def _tables(alias: str) -> list[str]:
    names = connections[alias].introspection.django_table_names(include_views=False)
    return sorted({*names} - {*_KEPT})


def _empty(connection: Any) -> None:
    quote = connection.ops.quote_name
    asked = (
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {quote(table)})"  # noqa: S608
        for table in _tables(connection.alias)
    )
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(asked))
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {quote(table)}")  # noqa: S608


# How many rows of each kept table a database holds, once Django has filled them.
_as_migrated: dict[str, list[int]] = {}


def _is_as_migrated(connection: Any) -> bool:
    return _as_migrated.get(_name(connection)) == _kept_rows(connection)


def _kept_rows(connection: Any) -> list[int]:
    if connection.vendor not in {"postgresql", "sqlite"}:
        return []
    counts = []
    with connection.cursor() as cursor:
        for table in _KEPT:
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608
            counts.append(cursor.fetchone()[0])
    return counts


def _name(connection: Any) -> str:
    return str(connection.settings_dict["NAME"])
