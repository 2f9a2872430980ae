"""Which tests are about databases that speak SQL, and why: on MongoDB they are skipped.

Found by reading them: one that asks for a cursor, or for what was sent, itself or through a
function or fixture of its file. Others say so by the marker `sql`, with the reason."""

import ast
import inspect
from functools import cache
from types import ModuleType

import pytest

_REASONS = {
    "cursor": "it speaks SQL itself",
    "execute_wrapper": "it puts itself between Django and an SQL connection",
    "CaptureQueriesContext": "it reads or counts the SQL that was sent",
    "django_assert_num_queries": "it reads or counts the SQL that was sent",
    "sqlite3": "it looks into an SQLite file",
    "psycopg": "it speaks to PostgreSQL itself",
    "Cluster": "it stops a PostgreSQL of its own",
}


def skip_what_is_about_sql(items: list[pytest.Item]) -> None:
    """Mark them, each with its reason."""
    for item in items:
        if reason := reason_to_skip(item):
            item.add_marker(pytest.mark.skip(reason=f"not on MongoDB: {reason}"))


def reason_to_skip(item: pytest.Item) -> str:
    """Why this test is none for MongoDB; nothing where it is one."""
    if marker := item.get_closest_marker("sql"):
        return str(marker.args[0])
    module = getattr(item, "module", None)
    name = getattr(item, "originalname", None) or item.name
    return _of_module(module).get(name, "") if module else ""


@cache
def _of_module(module: ModuleType) -> dict[str, str]:
    return reasons(inspect.getsource(module))


def reasons(source: str) -> dict[str, str]:
    """By name, the functions of a file that need SQL, themselves or through others of the file."""
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    ]
    uses = {each.name: _words(each) for each in functions}
    found: dict[str, str] = {}
    while True:
        known = _REASONS | found
        more = {
            name: known[min(words & known.keys())]
            for name, words in uses.items()
            if name not in found and words & known.keys()
        }
        if not more:
            return found
        found |= more


def _words(node: ast.AST) -> set[str]:
    """Every name that it reads or takes, and every attribute."""
    words = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            words.add(each.id)
        elif isinstance(each, ast.Attribute):
            words.add(each.attr)
        elif isinstance(each, ast.arg):
            words.add(each.arg)
    return words
