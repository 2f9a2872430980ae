"""`manage.py verify_audit`: whoever tampers with the table is found out."""

import re

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from polaris.audit.models import CONTENT, AuditChain, AuditEntry
from polaris.audit.recording import Act, record
from polaris.audit.sealing import hash_of, seal
from polaris.audit.verifying import Checkpoint

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _five_sealed():
    record(*(Act("call.placed", "call", f"log_{n}", "schedule_1") for n in range(1, 6)))
    seal()


@pytest.fixture
def check(capsys):
    """Runs the command; gives what it printed, and whether it failed."""

    def run(*arguments: str) -> tuple[str, bool]:
        try:
            call_command("verify_audit", *arguments)
            failed = False
        except CommandError:
            failed = True
        said = capsys.readouterr()
        return said.out + said.err, failed

    return run


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def key_of(sequence: int) -> str:
    return AuditEntry.objects.get(sequence=sequence).pk


def test_an_audit_as_it_was_written_passes(check):
    said, failed = check()

    assert not failed
    assert "Entries that fit: 5." in said
    assert "Entries not yet sealed: 0." in said
    assert f"Checkpoint: 5:{AuditEntry.objects.get(sequence=5).hash}" in said


def test_an_empty_one_passes(check):
    sql("DELETE FROM audit_entries")
    sql("DELETE FROM audit_chain")

    said, failed = check()

    assert not failed
    assert "Entries that fit: 0." in said


def test_what_is_not_sealed_is_counted(check):
    record(Act("call.ended", "call", "log_1"))

    said, failed = check()

    assert not failed
    assert "Entries not yet sealed: 1." in said


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "user_9"),
        ("verb", "call.ended"),
        ("changes", '{"status":["a","b"]}'),
        ("reason", "Another."),
        ("schedule_id", "schedule_2"),
        ("address", "192.0.2.1"),
        ("happened_at", "2020-01-01 00:00:00+00:00"),
        ("hash", "0" * 64),
    ],
)
@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_an_altered_row_is_named(check, column, value, sequence):
    key = key_of(sequence)
    sql(f"UPDATE audit_entries SET {column} = %s WHERE id = %s", value, key)  # noqa: S608

    said, failed = check()

    assert failed
    assert f"Entry {key} at {sequence} does not fit" in said


def test_a_row_altered_with_its_own_hash_made_anew_is_found_by_the_next(check):
    key, following = key_of(2), key_of(3)
    sql("UPDATE audit_entries SET actor = 'user_9' WHERE id = %s", key)
    content = AuditEntry.objects.values_list(*CONTENT).get(pk=key)
    anew = hash_of(AuditEntry.objects.get(sequence=1).hash, 2, content)
    sql("UPDATE audit_entries SET hash = %s WHERE id = %s", anew, key)

    said, failed = check()

    assert failed
    assert following in said


@pytest.mark.parametrize("sequence", [1, 3])
def test_a_removed_row_is_named(check, sequence):
    sql("DELETE FROM audit_entries WHERE sequence = %s", sequence)

    said, failed = check()

    assert failed
    assert f"Entry {sequence} is missing in between: it was removed." in said
    assert "does not fit" not in said


def test_rows_cut_off_the_end_are_named(check):
    sql("DELETE FROM audit_entries WHERE sequence > 3")

    said, failed = check()

    assert failed
    assert "Entries 4 to 5 are missing at the end: they were removed." in said


def test_an_end_cut_off_with_the_chains_row_mended_is_found_by_a_kept_checkpoint(check):
    kept = re.search(r"Checkpoint: (\S+)", check()[0])[1]
    third = AuditEntry.objects.get(sequence=3).hash
    sql("DELETE FROM audit_entries WHERE sequence > 3")
    sql("UPDATE audit_chain SET sequence = 3, hash = %s", third)

    assert check()[1] is False
    said, failed = check("--from", kept)

    assert failed
    assert f"The checkpoint {kept} is not in the chain" in said


def test_a_chain_written_anew_is_found_by_a_kept_checkpoint(check):
    kept = re.search(r"Checkpoint: (\S+)", check()[0])[1]
    sql("UPDATE audit_entries SET actor = 'user_9', sequence = NULL, hash = ''")
    sql("DELETE FROM audit_chain")
    seal()

    assert check()[1] is False
    assert check("--from", kept)[1] is True


def test_a_row_put_in_between_is_named_with_those_that_it_moved(check):
    for sequence in (5, 4, 3):
        sql("UPDATE audit_entries SET sequence = %s WHERE sequence = %s", sequence + 1, sequence)
    _put_in(3)
    sql("UPDATE audit_chain SET sequence = 6")

    said, failed = check()

    assert failed
    assert "Entry audit_forged at 3 does not fit" in said


def test_a_row_put_behind_the_end_is_named(check):
    _put_in(6)

    said, failed = check()

    assert failed
    assert "Entry audit_forged at 6 lies beyond the chain's end, 5: it was put in." in said


def test_rows_that_changed_places_are_named(check):
    second, third = key_of(2), key_of(3)
    sql("UPDATE audit_entries SET sequence = 99 WHERE id = %s", second)
    sql("UPDATE audit_entries SET sequence = 2 WHERE id = %s", third)
    sql("UPDATE audit_entries SET sequence = 3 WHERE id = %s", second)

    said, failed = check()

    assert failed
    assert f"Entry {third} at 2 does not fit" in said
    assert f"Entry {second} at 3 does not fit" in said


def test_a_beginning_removed_as_if_it_had_been_forgotten_is_found_out(check):
    second = AuditEntry.objects.get(sequence=2).hash
    sql("DELETE FROM audit_entries WHERE sequence <= 2")
    sql("UPDATE audit_chain SET pruned_sequence = 2, pruned_hash = %s", second)

    said, failed = check()

    assert failed
    assert "No entry tells that entries up to 2 were forgotten" in said


def test_a_chains_row_that_bears_another_hash_is_found_out(check):
    AuditChain.objects.update(hash="0" * 64)

    said, failed = check()

    assert failed
    assert "The chain's own row" in said


def test_from_a_checkpoint_only_what_came_after_it_is_checked(check):
    kept = re.search(r"Checkpoint: (\S+)", check()[0])[1]
    record(Act("call.ended", "call", "log_1"))
    seal()

    said, failed = check("--from", kept)

    assert not failed
    assert "Entries that fit: 1." in said


@pytest.mark.parametrize("text", ["5", "5:", "x:" + "0" * 64, "5:" + "0" * 63, ":" + "0" * 64])
def test_what_is_no_checkpoint_is_refused(check, text):
    with pytest.raises(ValueError, match="A checkpoint is"):
        Checkpoint.parse(text)

    assert check("--from", text)[1] is True


def _put_in(sequence: int) -> None:
    sql(
        "INSERT INTO audit_entries (id, happened_at, actor, actor_name, agent_instance_id, address,"
        " request_id, verb, object_kind, object_id, schedule_id, changes, reason, sequence, hash)"
        " SELECT 'audit_forged', happened_at, actor, actor_name, agent_instance_id, address,"
        " request_id, verb, object_kind, 'forged', schedule_id, changes, reason, %s, %s"
        " FROM audit_entries WHERE sequence = 1",
        sequence,
        "f" * 64,
    )
