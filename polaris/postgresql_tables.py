"""Operations of migrations that lay out our tables, mostly on PostgreSQL alone.

None is told to Django's state, and all may be undone; prefix indexes are not made again."""

from functools import partial
from typing import Any

from django.db.migrations import RunPython

# Indexes for LIKE 'prefix%': our keys are never asked for by a prefix.
_BY_PREFIX = """
    SELECT index.relname FROM pg_index
    JOIN pg_class index ON index.oid = pg_index.indexrelid
    JOIN pg_class owner ON owner.oid = pg_index.indrelid
    JOIN pg_opclass kind ON kind.oid = pg_index.indclass[0]
    WHERE owner.relname = ANY(%s) AND pg_table_is_visible(owner.oid)
    AND kind.opcname IN ('varchar_pattern_ops', 'text_pattern_ops')
    ORDER BY 1
"""


def drop_prefix_indexes(app_label: str) -> RunPython:
    """Drop the second index that Django makes for each text that is a key, `…_like`, of the tables
    that an app has by then. A moment's lock of each table."""
    return RunPython(partial(_drop_prefix_indexes, app_label), RunPython.noop)


def drop_key_index(app_label: str, model: str, name: str) -> RunPython:
    """Drop the index that Django has made for a foreign key, where another one begins with it. A
    moment's lock: `AlterField` would make the key itself anew, and look at every row.

    MongoDB keeps it: its back end cannot say by which name."""
    drop = partial(_drop_key_index, app_label, model, name)
    return RunPython(drop, partial(_make_key_index, app_label, model, name))


def fill_pages(app_label: str, model: str, percent: int) -> RunPython:
    """Fill the pages of a table so far, so that an update that concerns no index finds room beside
    the row and makes no entry in any (HOT). Holds nobody up; pages that are there stay."""
    fill = partial(_fill_pages, app_label, model, f"SET (fillfactor = {percent:d})")
    empty = partial(_fill_pages, app_label, model, "RESET (fillfactor)")
    return RunPython(fill, empty)


def prefix_indexes(connection: Any, tables: list[str]) -> list[str]:
    """The names of such indexes of these tables, on PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_PREFIX, [tables])
        return [name for (name,) in cursor.fetchall()]


def _drop_prefix_indexes(app_label: str, apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    tables = [model._meta.db_table for model in apps.get_app_config(app_label).get_models()]
    for name in prefix_indexes(schema_editor.connection, tables):
        schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")


def _drop_key_index(app_label: str, model: str, name: str, apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "mongodb":
        return
    owner = apps.get_model(app_label, model)
    columns = [owner._meta.get_field(name).column]
    for each in schema_editor._constraint_names(owner, columns, index=True, unique=False):
        schema_editor.execute(schema_editor._delete_index_sql(owner, each))


def _make_key_index(app_label: str, model: str, name: str, apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "mongodb":
        return
    owner = apps.get_model(app_label, model)
    field = owner._meta.get_field(name)
    schema_editor.execute(schema_editor._create_index_sql(owner, fields=[field]))


def _fill_pages(app_label: str, model: str, how: str, apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    table = apps.get_model(app_label, model)._meta.db_table
    schema_editor.execute(f"ALTER TABLE {schema_editor.quote_name(table)} {how}")
