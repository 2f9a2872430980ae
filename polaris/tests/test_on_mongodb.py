"""The suite on MongoDB: when it is run, when it is not, and which tests are left out there."""

import subprocess
import sys

import pytest

from polaris.tests.mongodb_loopback import loopback
from polaris.tests.on_mongodb import reasons
from polaris.tests.stack import HOME
from polaris.tests.test_mongodb_settings import needs_the_back_end, process

NOBODY = "mongodb://me:secret@127.0.0.1:1/?serverSelectionTimeoutMS=50"


def bin_test(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return process([str(HOME / "bin" / "test"), "--mongodb", *arguments], **variables)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-q"],
        ["polaris/tests/test_on_mongodb.py"],
        ["polaris/tests/test_on_mongodb.py::test_what_needs_sql", "-q"],
    ],
    ids=["nothing", "an option", "a file", "a test"],
)
def test_without_an_address_it_is_not_run_and_that_is_no_error(arguments):
    child = bin_test(*arguments, MONGODB_TEST_URL="")

    assert child.returncode == 0
    assert child.stdout == (
        "bin/test: no MongoDB is named, so the suite is not run on it "
        "(--mongodb URL, or MONGODB_TEST_URL).\n"
    )


@pytest.mark.parametrize(
    "argument", ["db.example:27017", "MongoDB://me:secret@db.example", "me:secret@db.example", ""]
)
@pytest.mark.parametrize("in_the_variable", ["", NOBODY])
def test_an_address_of_no_mongodb_is_an_error_in_one_line(argument, in_the_variable):
    child = bin_test(argument, "-q", MONGODB_TEST_URL=in_the_variable)

    assert (child.returncode, child.stdout) == (2, "")
    assert child.stderr == "bin/test: --mongodb takes a mongodb:// or mongodb+srv:// address\n"


@needs_the_back_end
@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_named_server_that_does_not_answer_is_an_error_in_one_line(by):
    child = bin_test(NOBODY) if by == "argument" else bin_test("-q", MONGODB_TEST_URL=NOBODY)

    assert child.returncode == 1
    assert child.stderr.startswith("bin/test: no MongoDB answers: 127.0.0.1:1: ")
    assert child.stderr.count("\n") == 1
    assert "secret" not in child.stderr


@needs_the_back_end
def test_a_named_server_that_cannot_do_it_is_an_error_in_one_line():
    with loopback(replica_set="") as server:
        child = bin_test(server.url)

    assert child.returncode == 1
    assert child.stderr.startswith("bin/test: The MongoDB server stands alone")


@needs_the_back_end
def test_there_what_is_about_sql_is_skipped_with_its_reason_and_the_rest_is_run(tmp_path):
    file = tmp_path / "test_some.py"
    file.write_text(SOME)
    with loopback() as server:
        child = process(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", OF_OURS, str(file)],
            DJANGO_SETTINGS_MODULE="polaris.tests.settings",
            MONGODB_URL=server.url,
        )

    assert "1 passed, 3 skipped" in child.stdout, child.stdout + child.stderr
    assert "not on MongoDB: it speaks SQL itself" in child.stdout
    assert "not on MongoDB: MongoDB has no foreign keys" in child.stdout
    assert "not on MongoDB: there are no savepoints" in child.stdout
    written = {each["$db"] for each in server.sent("create", "insert")}
    assert written == {"test_polaris_db"}


OF_OURS = (
    "polaris/tests/test_inserted_together.py::"
    "test_what_the_database_judges_at_the_commit_undoes_all[by_the_orm]"
)
SOME = """
import pytest
from django.db import connection
from schedules.models import Gate

def look():
    return connection.cursor()

def test_that_looks(db):
    look()

@pytest.mark.sql("there are no savepoints")
def test_that_says_so(db):
    raise AssertionError

def test_that_writes(transactional_db):
    Gate.objects.create()
"""


def test_what_needs_sql_is_found_through_fixtures_classes_and_functions_of_the_file():
    found = reasons(
        "def stored():\n    connection.cursor()\n"
        "@pytest.fixture\ndef row():\n    return stored()\n"
        "class TestRows:\n    def test_deep(self, row): pass\n"
        "def test_counted(django_assert_num_queries): pass\n"
        "def test_other(): pass\n"
    )

    assert found["test_deep"] == "it speaks SQL itself"
    assert found["test_counted"] == "it reads or counts the SQL that was sent"
    assert "test_other" not in found
