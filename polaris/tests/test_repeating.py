"""A unit of work that the database undoes for another writer's sake is done anew, once and whole.

The conflicts are PostgreSQL's own: two transactions that wait for each other, and its serialization
failure in place of any statement of a unit."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.db.models import F
from django.http import QueryDict

from polaris.audit.models import AuditEntry
from polaris.database import atomic, is_conflict, on_commit
from polaris.events import on, unregister
from polaris.repeating import repeated
from schedules import gate, services
from schedules.claims import claim_due
from schedules.models import ActiveSchedule, CallSchedule, Gate, Pause
from schedules.planning import make_plan
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.carriers.base import CallReport
from tracking.ledger import Accepted, record_accepted
from tracking.models import CallLog
from tracking.opening import open_claim
from tracking.tests.factories import CallLogFactory
from webhooks import inbox
from webhooks.models import WebhookEvent

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SID = "CA" + "0" * 32
UNDO = "DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '40001'; END $$"

pytestmark = pytest.mark.django_db(transaction=True)
only_postgresql = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="forces PostgreSQL's own errors"
)


# -- the units, each over rows of its own -------------------------------------------------------
def plan(**asked):
    return make_plan(
        **{
            "phone": "+15005550006",
            "scheduled_time": NOW + timedelta(hours=1),
            "timezone": "UTC",
            "repeat_config": None,
            "now": NOW,
        }
        | asked
    )


def armed(**fields) -> CallSchedule:
    schedule = CallScheduleFactory(scheduled_time=NOW, **fields)
    ActiveScheduleFactory(schedule=schedule)
    return schedule


def claim():
    return claim_due(runner_id="a", moment=NOW, limit=9, lease=timedelta(seconds=60))


def creating():
    return lambda: services.create_schedule(plan=plan(), created_by="user_1")


def changing():
    schedule, new = armed(), plan(scheduled_time=NOW + timedelta(hours=2))
    return lambda: services.change_schedule(schedule, plan=new, description="other")


def resuming():
    schedule = services.pause(armed())
    return lambda: services.resume(schedule)


def acting(act):
    def prepare():
        schedule = armed()
        return lambda: act(schedule)

    return prepare


def claiming():
    armed(), armed(phone="+15005550007")
    return claim


def opening():
    armed(), armed(phone="+15005550007")
    lease = claim()[0].lease
    return lambda: open_claim(lease)


def answering():
    armed()
    (found,) = open_claim(claim()[0].lease).values()
    answer = CallReport(call_id=SID, status="queued", at=NOW)
    return lambda: record_accepted([Accepted(found.armed, found.log, answer, NOW)])


def hearing(status):
    def prepare():
        CallLogFactory(call_id=SID, schedule__status="running", timestamp=NOW)
        return lambda: inbox.receive(webhook(status), attempt_id="")

    return prepare


def hearing_of_a_stranger():
    return lambda: inbox.receive(webhook("ringing"), attempt_id="")


def webhook(status):
    fields = QueryDict(mutable=True)
    fields.update({"CallSid": SID, "CallStatus": status, "Direction": "outbound-api"})
    fields.update({"Timestamp": "Tue, 01 Jan 2030 12:00:00 +0000", "To": "+15005550006"})
    return fields


def closing_the_gate():
    return lambda: gate.close("The account is suspended.")


UNITS = {
    "create": creating,
    "change": changing,
    "pause": acting(services.pause),
    "resume": resuming,
    "cancel": acting(services.cancel),
    "delete": acting(services.delete_schedule),
    "call now": acting(services.call_now),
    "claim": claiming,
    "open the ledger": opening,
    "write the answer": answering,
    "hear that it rings": hearing("ringing"),
    "hear of its end": hearing("busy"),
    "hear of a stranger": hearing_of_a_stranger,
    "close the gate": closing_the_gate,
}


class Interference:
    """Counts the statements of units that are in a transaction, and puts an error in the place of
    one of them, once."""

    def __init__(self, at: int) -> None:
        self.count, self._at = 0, at

    def __call__(self, execute, sql, params, many, context):
        is_part = connection.in_atomic_block or sql.startswith("WITH")  # one is whole by itself
        if not is_part or sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            return execute(sql, params, many, context)
        self.count += 1
        if self.count == self._at:
            return execute(UNDO, None, False, context)
        return execute(sql, params, many, context)


def outcome(prepare, at: int = 0):
    """What there is after a unit whose statement number `at` fails first, and how many it has."""
    for model in (ActiveSchedule, Pause, CallLog, CallSchedule, WebhookEvent, Gate):
        model.objects.all().delete()
    unit, heard = prepare(), []
    AuditEntry.objects.filter(sequence=None)._raw_delete("default")
    interference = Interference(at)
    on("*")(note := lambda event: heard.append(event.name))
    try:
        with connection.execute_wrapper(interference):
            unit()
    finally:
        unregister(note)
    found = {
        "schedules": list(CallSchedule.objects.values_list("status", "revision", "call_id")),
        "armed": list(ActiveSchedule.objects.values_list("status", "occurrence", "origin")),
        "logs": list(CallLog.objects.values_list("status", "call_id", "attempt")),
        "webhooks": list(WebhookEvent.objects.values_list("outcome", "deliveries")),
        "pauses": Pause.objects.count(),
        "gate": list(Gate.objects.values_list("reason", "probes")),
        "audit": list(AuditEntry.objects.values_list("verb", flat=True)),
    }
    counted = {
        kind: Counter(rows) if isinstance(rows, list) else rows for kind, rows in found.items()
    }
    return counted | {"heard": Counter(heard)}, interference.count


# -- the tests ----------------------------------------------------------------------------------
@only_postgresql
@pytest.mark.parametrize("prepare", UNITS.values(), ids=UNITS)
def test_whichever_statement_meets_another_writer_the_outcome_is_the_same(prepare):
    with time_machine.travel(NOW, tick=False):
        undisturbed, statements = outcome(prepare)
        assert statements

        for number in range(1, statements + 1):
            disturbed, sent = outcome(prepare, number)
            assert sent > statements, number
            assert disturbed == undisturbed, number


@only_postgresql
def test_of_two_that_wait_for_each_other_both_are_done_and_each_tells_once():
    Gate.objects.create(id="one")
    Gate.objects.create(id="two")
    told, tries, both = [], [], threading.Barrier(2)

    @repeated
    def write(name, first, second):
        tries.append(name)
        with atomic():
            Gate.objects.filter(pk=first).update(probes=F("probes") + 1)
            if tries.count(name) == 1:
                both.wait(30)
            Gate.objects.filter(pk=second).update(probes=F("probes") + 1)
            on_commit(lambda: told.append(name))

    def run(*args):
        try:
            write(*args)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=run, args=args)
        for args in (("there", "one", "two"), ("back", "two", "one"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(told) == ["back", "there"]
    assert len(tries) == 3
    assert set(Gate.objects.values_list("probes", flat=True)) == {2}


@only_postgresql
def test_after_the_last_try_the_error_is_told_and_nothing_has_happened():
    told, tries = [], []

    @repeated
    def write():
        tries.append(1)
        with atomic():
            Gate.objects.create()
            on_commit(lambda: told.append(1))
            with connection.cursor() as cursor:
                cursor.execute(UNDO)

    with pytest.raises(OperationalError, match="in the way"):
        write()

    assert len(tries) == 7
    assert (told, Gate.objects.count()) == ([], 0)


@only_postgresql
def test_within_a_transaction_the_whole_of_it_is_repeated():
    tries = Counter()

    @repeated
    def inner():
        tries["inner"] += 1
        Gate.objects.create(id=f"inner {tries['inner']}")
        if tries["inner"] == 1:
            with connection.cursor() as cursor:
                cursor.execute(UNDO)

    @repeated
    def outer():
        tries["outer"] += 1
        with atomic():
            Gate.objects.create(id="outer")
            inner()

    outer()

    assert tries == {"outer": 2, "inner": 2}
    assert set(Gate.objects.values_list("pk", flat=True)) == {"outer", "inner 2"}


def test_what_would_be_refused_again_is_not_repeated():
    tries = []

    @repeated
    def write():
        tries.append(1)
        Gate.objects.create()

    write()
    with pytest.raises(IntegrityError):
        write()

    assert len(tries) == 2


def test_an_error_of_another_kind_is_no_conflict():
    assert not is_conflict(DatabaseError("disk full"))
    assert not is_conflict(OperationalError("connection refused"))
