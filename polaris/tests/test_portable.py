"""The code keeps to what SQLite, PostgreSQL and MongoDB all do (docs/mongodb.md).

What MongoDB's back end has not, or passes over in silence, stands only where it is named here,
with what makes it sound there."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

HOME = Path(settings.BASE_DIR)
ROOMS = ("polaris", "schedules", "tracking", "webhooks")

NOT_THERE = {
    "transaction.atomic": "does nothing there: polaris.database.atomic",
    "transaction.on_commit": "calls what failed, too: polaris.database.on_commit",
    "select_for_update": "does nothing there",
    "connection.cursor": "there is no SQL",
    ".raw": "there is no SQL",
    ".extra": "there is no SQL",
    "RawSQL": "there is no SQL",
    "RunSQL": "there is no SQL",
    "prefetch_related": "is not supported there",
    "CheckConstraint": "is not enforced there",
    "GeneratedField": "is not supported there",
    "db_default": "is not supported there",
    "ignore_conflicts": "is not supported there",
    "update_conflicts": "is not supported there",
    "bulk_update": "is one CASE for each field there",
}

# By file: what it uses all the same, and why that is sound on MongoDB.
SOUND = {
    "polaris/compiled.py": {
        "connection.cursor": "for PostgreSQL alone",
        "select_for_update": "asks a query whether it takes locks, on PostgreSQL alone",
    },
    "polaris/database.py": {
        "transaction.atomic": "for the others; MongoDB has the back end's own",
        "transaction.on_commit": "for the others; MongoDB has the back end's own",
        "select_for_update": "for the others; MongoDB's rows get a mark",
    },
    "polaris/gathering.py": {
        "connection.cursor": "for PostgreSQL alone",
        "transaction.atomic": "for PostgreSQL alone",
        "transaction.on_commit": "for PostgreSQL alone",
    },
    "polaris/inserting.py": {
        "connection.cursor": "MongoDB goes by the ORM",
        "bulk_update": "for all but PostgreSQL",
    },
    "polaris/reading.py": {"connection.cursor": "MongoDB goes by the ORM"},
    "polaris/audit/sealing.py": {
        "connection.cursor": "MongoDB goes by the ORM",
        "select_for_update": "the chain is moved by compare-and-set",
    },
    "polaris/postgresql_tables.py": {"connection.cursor": "for PostgreSQL alone"},
    "schedules/arming.py": {"select_for_update": "what is found is then written"},
    "schedules/waking.py": {"connection.cursor": "for PostgreSQL alone"},
    "schedules/claims.py": {"select_for_update": "asked for only where rows can be skipped"},
    "schedules/gate.py": {
        "select_for_update": "the gate is written by whoever takes of it; where calls in hand are "
        "counted instead, it gets a mark first"
    },
    "schedules/services.py": {
        "select_for_update": "read for the audit; the move or deletion behind it asks the status"
    },
    "tracking/ledger.py": {"select_for_update": "each of the rows that are found is then written"},
    "tracking/opening.py": {
        "select_for_update": "whatever is dialled is then written: its armed row, its log, its "
        "schedule; and the log's unique indexes hold"
    },
    "tracking/stopping.py": {
        "select_for_update": "what is found is then moved, or the transaction is undone"
    },
    "tracking/notifications/outbox.py": {
        "select_for_update": "what is found is then moved, or the transaction is undone"
    },
}


def files() -> Iterator[str]:
    for room in ROOMS:
        for file in sorted((HOME / room).rglob("*.py")):
            if "tests" not in file.parts and "simulator" not in file.parts:
                yield str(file.relative_to(HOME))


def used(source: str) -> set[str]:
    """What of NOT_THERE a source uses, by attributes, names, imports and keywords."""
    words = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            words |= {node.attr, f".{node.attr}", f"{getattr(node.value, 'id', '')}.{node.attr}"}
        elif isinstance(node, ast.Name):
            words.add(node.id)
        elif isinstance(node, ast.keyword):
            words.add(node.arg or "")
        elif isinstance(node, ast.ImportFrom) and node.module == "django.db.transaction":
            words |= {f"transaction.{name.name}" for name in node.names}
    return words & NOT_THERE.keys()


@pytest.mark.parametrize("file", list(files()))
def test_it_rests_on_nothing_that_mongodb_has_not(file):
    found = used((HOME / file).read_text())

    beyond = found - SOUND.get(file, {}).keys()
    assert not beyond, [f"{word}: {NOT_THERE[word]}" for word in sorted(beyond)]


def test_nothing_is_excused_that_is_not_there():
    for file, excused in SOUND.items():
        assert excused.keys() == used((HOME / file).read_text()), file


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("with transaction.atomic(): pass", "transaction.atomic"),
        ("from django.db.transaction import on_commit", "transaction.on_commit"),
        ("rows.filter(pk=1).select_for_update(skip_locked=True)", "select_for_update"),
        ("connection.cursor().execute('')", "connection.cursor"),
        ("Model.objects.raw('SELECT')", ".raw"),
        ("operations = [migrations.RunSQL('')]", "RunSQL"),
        ("constraints = [models.CheckConstraint(name='a')]", "CheckConstraint"),
        ("rows.bulk_create([], ignore_conflicts=True)", "ignore_conflicts"),
        ("number = models.IntegerField(db_default=1)", "db_default"),
    ],
)
def test_each_of_them_would_be_found(line, word):
    assert used(line) == {word}
