"""MongoDB lets nobody wait: who comes second at a row is undone, and done anew by us.

The server is the loopback one, told to say so; transactions, labels and repeats are those of the
real driver and the real back end, in a process of its own."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from polaris.tests.mongodb_loopback import Document, Server, conflict, loopback
from polaris.tests.test_mongodb_settings import needs_the_back_end, process

with suppress(ImportError):  # it comes with the back end
    from bson import Int64, ObjectId

pytestmark = needs_the_back_end

PREPARE = """
import json, django; django.setup()
from datetime import timedelta
from django.db import DatabaseError
from django.http import QueryDict
from django.utils import timezone
from polaris.database import atomic, is_out_of_reach, touch
from polaris.events import on
from schedules import services
from schedules.models import CallSchedule, Gate
from schedules.planning import make_plan
from tracking.recording import insist
from webhooks import inbox
heard, error = [], None
on("*")(lambda event: heard.append(event.name))
now = timezone.now()
plan = make_plan(phone="+15005550006", scheduled_time=now + timedelta(hours=1), timezone="UTC",
    repeat_config=None, now=now)
fields = QueryDict(mutable=True)
fields.update({"CallSid": "CA" + "0" * 32, "CallStatus": "ringing", "Direction": "inbound",
    "To": "+15005550006", "From": "+15005550007"})
def create(): services.create_schedule(plan=plan, created_by="user_1")
def receive(): inbox.receive(fields, attempt_id="")
try: {unit}
except DatabaseError as failure: error = failure
print(json.dumps({{"heard": heard, "error": type(error).__name__,
    "out_of_reach": bool(error and is_out_of_reach(error))}}))
"""


def run(server: Server, unit: str) -> dict[str, Any]:
    """What a process says that did `unit` over that server."""
    code = PREPARE.replace("{unit}", unit).replace("{{", "{").replace("}}", "}")
    child = process([sys.executable, "-c", code], MONGODB_URL=server.url, LOG_LEVEL="ERROR")
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


def first(times: int, answer: Document) -> Callable[[Document], Document | None]:
    """Gives `answer` so many times."""
    left = [answer] * times
    return lambda _: left.pop() if left else None


def to(collection: str, answer: Callable[[Document], Document | None]) -> Any:
    """Where an insert goes there."""
    return lambda command: answer(command) if command["insert"] == collection else None


def transactions(server: Server, collection: str) -> list[int]:
    """The numbers of the transactions that wrote there, one for each insert."""
    inserts = [each for each in server.sent("insert") if each["insert"] == collection]
    return [each["txnNumber"] for each in inserts]


def test_what_is_unique_is_so_of_the_types_that_are_written():
    """The back end's unique indexes hold for one type each, and for nothing else in silence."""
    with loopback() as server:
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        assert process(migrate, MONGODB_URL=server.url).returncode == 0
        server.commands, made = [], server.sent("createIndexes")
        run(server, "create(), receive()")
        written = server.sent("insert")

    seen = 0
    for command in made:
        for index in command["indexes"]:
            about = index.get("partialFilterExpression", {}) if index.get("unique") else {}
            for insert in written:
                for document in insert["documents"]:
                    if insert["insert"] == command["createIndexes"]:
                        seen += check_types(document, about)
    assert seen > 10


def check_types(document: Document, about: Document) -> int:
    """How many of the fields that an index is about there are, each of its type."""
    types = {"string": str, "date": datetime, "int": int, "long": Int64, "objectId": ObjectId}
    found = {
        name: kind["$type"]
        for name, kind in about.items()
        if "$type" in kind and document.get(name) is not None
    }
    for name, kind in found.items():
        assert type(document[name]) is types[kind], (name, kind)
    return len(found)


@pytest.mark.parametrize("error", [conflict(), conflict(251, "NoSuchTransaction")])
def test_a_schedule_whose_transaction_is_undone_is_written_by_the_next_and_told_once(error):
    with loopback(insert=to("audit_entries", first(2, error))) as server:
        said = run(server, "create()")

    assert said == {"heard": ["schedule.created"], "error": "NoneType", "out_of_reach": False}
    written = transactions(server, "call_schedules")
    assert len(set(written)) == len(written) == 3
    ended = [each["txnNumber"] for each in server.sent("commitTransaction")]
    assert ended == written[-1:]


def test_a_conflict_that_shows_at_the_commit_is_repeated_too():
    with loopback(commitTransaction=first(1, conflict())) as server:
        said = run(server, "create()")

    assert said["heard"] == ["schedule.created"]
    assert len(transactions(server, "call_schedules")) == 2


def test_a_webhook_is_kept_once_and_acted_upon_anew():
    with loopback(insert=to("call_logs", first(1, conflict()))) as server:
        said = run(server, "receive()")

    assert said["error"] == "NoneType"
    assert len(transactions(server, "call_logs")) == 2
    kept = [each for each in server.sent("insert") if each["insert"] == "webhook_events"]
    assert len(kept) == 1


def test_after_the_last_try_nothing_is_told_and_clients_are_to_come_again():
    with loopback(insert=to("call_schedules", lambda _: conflict())) as server:
        said = run(server, "create()")

    assert said == {"heard": [], "error": "DatabaseError", "out_of_reach": True}
    assert len(transactions(server, "call_schedules")) == 7
    assert server.sent("commitTransaction") == []


def test_a_commit_of_which_nobody_knows_is_not_done_anew():
    unknown = conflict(64, "WriteConcernFailed") | {
        "errorLabels": ["UnknownTransactionCommitResult"]
    }
    with loopback(commitTransaction=lambda _: unknown) as server:
        said = run(server, "create()")

    assert (said["heard"], said["error"]) == ([], "DatabaseError")
    assert len(transactions(server, "call_schedules")) == 1


def test_a_lock_is_a_write_that_changes_something():
    found = {"cursor": {"id": 0, "ns": "a.gates", "firstBatch": [{"id": "calls"}]}, "ok": 1.0}
    with loopback(aggregate=lambda _: found) as server:
        run(server, "exec('with atomic():\\n touch(Gate.objects.filter(pk=1), probes=0)')")

    (update,) = server.sent("update")
    assert "txnNumber" in update
    assert update["updates"][0]["q"] == {"id": {"$in": ["calls"]}}
    assert list(update["updates"][0]["u"]["$set"]) == ["_lock"]


def test_the_carriers_answer_is_written_again_while_the_server_is_busy():
    with loopback(update=first(2, conflict())) as server:
        said = run(server, "assert insist(lambda: Gate.objects.filter(pk='a').update(probes=1))")

    assert said["error"] == "NoneType"
    assert len(server.sent("update")) == 3


def test_old_logs_are_deleted_by_their_keys():
    found = {"cursor": {"id": 0, "ns": "a.call_logs", "firstBatch": [{"id": "log_1"}]}, "ok": 1.0}
    with loopback(aggregate=first_of("call_logs", found)) as server:
        run(
            server,
            "from tracking import retention; from polaris import retention as r; "
            "[r._delete(rows, 'call logs') for rows in retention.logs(now)[:1]]",
        )

    assert [each["delete"] for each in server.sent("delete")][-1] == "call_logs"
    assert server.sent("delete")[-1]["deletes"][0]["q"] == {"id": {"$in": ["log_1"]}}


def first_of(collection: str, answer: Document) -> Callable[[Document], Document | None]:
    """Gives `answer` to the first two who ask that collection."""
    give = first(2, answer)
    return lambda command: give(command) if command["aggregate"] == collection else None
