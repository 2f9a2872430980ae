"""The rows of the day: schedules and what is armed of them, multiplied by the database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection

from bench.day.patterns import Pattern
from polaris.privacy.sealing import seal

_TABLES = """
    CREATE TABLE day_patterns (
        id int PRIMARY KEY, phone text, zone text, anchor timestamptz, repeat_config jsonb,
        calling_window jsonb, retry_policy jsonb, first timestamptz, zones text[]);
    CREATE TABLE day_expected (pattern int, occurrence timestamptz);
    CREATE TABLE day_calls (
        schedule_id text, pattern int, occurrence timestamptz, attempt int, due_at timestamptz,
        dialled_at timestamptz, outcome text)
"""
# The number of a pattern is sealed once: all its schedules have that text, and each a look-up of
# its own, so that no two of them are in each other's way.
_SCHEDULES = """
    INSERT INTO call_schedules (
        id, created_by, user_profile_id, agent_instance_id, phone, phone_lookup, scheduled_time,
        timezone, status, status_reason, call_type, description, notes, wall_time, repeat_config,
        calling_window, retry_policy, overlap, revision, call_id, created_at, last_updated)
    SELECT 'schedule_' || lpad(i::text, 26, '0'), 'user_' || i %% 1000, 'pattern_' || pattern.id,
        'agent_' || i %% 100, pattern.phone,
        translate(encode(sha256(i::text::bytea), 'base64'), '+/=', '-_'), pattern.anchor,
        pattern.zone, 'scheduled', '', 'outbound', '', '', '',
        pattern.repeat_config, pattern.calling_window, pattern.retry_policy, 'skip', 1, '',
        %(start)s, %(start)s
    FROM generate_series(%(first)s, %(last)s) AS i
    JOIN day_patterns AS pattern ON pattern.id = i %% %(patterns)s
"""
_ARMED = """
    INSERT INTO active_schedules (
        id, schedule_id, job_id, next_execution, status, occurrence, attempt, due_at, asked,
        waits_for, waits_on, origin, leased_until, lease, runner_id, created_at, last_updated)
    SELECT 'active_' || lpad(i::text, 26, '0'), 'schedule_' || lpad(i::text, 26, '0'),
        'job_' || lpad(i::text, 26, '0'), pattern.first, 'scheduled', pattern.first, 1,
        pattern.first, 0, '', '', 'rule', NULL, '', '', %(start)s, %(start)s
    FROM generate_series(%(first)s, %(last)s) AS i
    JOIN day_patterns AS pattern ON pattern.id = i %% %(patterns)s
"""
_AT_ONCE = 250_000


def write(patterns: list[Pattern], schedules: int, *, start: datetime) -> None:
    """Fill an empty database."""
    with connection.cursor() as cursor:
        for statement in _TABLES.split(";"):
            cursor.execute(statement)
        _write_patterns(cursor, patterns)
        with (
            _without_indexes(cursor, "call_schedules"),
            _without_indexes(cursor, "active_schedules"),
        ):
            for first in range(0, schedules, _AT_ONCE):
                values = {
                    "first": first,
                    "last": min(first + _AT_ONCE, schedules) - 1,
                    "patterns": len(patterns),
                    "start": start,
                }
                cursor.execute(_SCHEDULES, values)
                cursor.execute(_ARMED, values)


def vacuum(*tables: str) -> None:
    """What autovacuum does, on a server where it may be off."""
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {', '.join(tables)}")


def sizes() -> dict[str, Any]:
    """Bytes of each table with its indexes, and the rows in it."""
    tables = ("call_schedules", "active_schedules")
    with connection.cursor() as cursor:
        found: dict[str, Any] = {}
        for table in tables:
            cursor.execute(
                f"SELECT count(*), pg_table_size('{table}'), pg_indexes_size('{table}') "
                f"FROM {table}"
            )
            rows, heap, indexes = cursor.fetchone()
            found[table] = {"rows": rows, "table_bytes": heap, "index_bytes": indexes}
        cursor.execute("SELECT pg_database_size(current_database())")
        return found | {"database_bytes": cursor.fetchone()[0]}


def _write_patterns(cursor: Any, patterns: list[Pattern]) -> None:
    with cursor.copy("COPY day_patterns FROM STDIN") as copy:
        for number, each in enumerate(patterns):
            configs = (each.repeat_config, each.calling_window, each.retry_policy)
            copy.write_row((
                number, seal(each.phone), each.zone, each.anchor,
                *(None if config is None else json.dumps(config) for config in configs),
                each.first, each.zones,
            ))  # fmt: skip
    with cursor.copy("COPY day_expected FROM STDIN") as copy:
        for number, each in enumerate(patterns):
            for occurrence in each.expected:
                copy.write_row((number, occurrence))


@contextmanager
def _without_indexes(cursor: Any, table: str) -> Iterator[None]:
    """Rows are written faster where the indexes are made afterwards."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname NOT IN "
        "(SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass)",
        [table, table],
    )
    dropped = cursor.fetchall()
    for name, _ in dropped:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    for _, definition in dropped:
        cursor.execute(definition)
