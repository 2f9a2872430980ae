"""What PostgreSQL does for the statements of a block: it runs and explains each of them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

_EXPLAINED = ("SELECT", "UPDATE", "DELETE", "INSERT")


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """A statement, and what was done for it."""

    sql: str
    tree: dict[str, Any]

    @property
    def tables_read_through(self) -> set[str]:
        """Tables that were read from their beginning to their end."""
        return {node["Relation Name"] for node in _nodes(self.tree) if _is_read_through(node)}

    @property
    def rows_touched(self) -> int:
        """Rows that were read of tables and indexes, those included that a filter left out."""
        return sum(_touched(node) for node in _nodes(self.tree))

    def __repr__(self) -> str:
        steps = (
            f"  {node['Node Type']} {node.get('Index Name') or node.get('Relation Name', '')}: "
            f"{_touched(node)} rows"
            for node in _nodes(self.tree)
        )
        return "\n".join([self.sql, *steps])


@contextmanager
def explained() -> Iterator[list[Plan]]:
    """The plans of the statements of the block, within a transaction."""
    plans: list[Plan] = []

    def explain(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        if not many and sql.startswith(_EXPLAINED):
            plans.append(_explain(execute, sql, params, context))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield plans


def _explain(execute: Callable[..., Any], sql: str, params: Any, context: Any) -> Plan:
    """Run it for its plan, and undo what it did."""
    execute("SAVEPOINT explained", None, False, context)
    execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params, False, context)
    (told,) = context["cursor"].fetchone()
    execute("ROLLBACK TO SAVEPOINT explained", None, False, context)
    (tree,) = json.loads(told) if isinstance(told, str) else told
    return Plan(sql, tree["Plan"])


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _is_read_through(node: dict[str, Any]) -> bool:
    return node["Node Type"] == "Seq Scan" and node["Actual Loops"] > 0


def _touched(node: dict[str, Any]) -> int:
    if not node["Node Type"].endswith("Scan"):
        return 0
    left_out = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    rows = node["Actual Rows"] + sum(node.get(name, 0) for name in left_out)
    return round(rows * node["Actual Loops"])
