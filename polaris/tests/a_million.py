"""A million rows of everything that grows, as a year or two of use leaves them, quickly written.

On PostgreSQL alone: one row of each table is written by a factory and multiplied by the database,
with its secondary indexes put up afterwards."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection
from django.db.models import Model

from polaris.audit.models import AuditEntry
from polaris.audit.recording import Act, record
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.models import CallLog, Notification
from tracking.tests.factories import CallLogFactory, NotificationFactory
from webhooks.models import WebhookEvent

MANY = 1_000_000
OWNERS = 1_000
FIRST_OWNER = 100_000
# So many are under way in each table that has such rows.
FEW = 100
GROWING = (CallSchedule, ActiveSchedule, CallLog, WebhookEvent, Notification, AuditEntry)
BIG_TABLES = {model._meta.db_table for model in GROWING}

_OWNER = f"'user_' || ({FIRST_OWNER} + i % {OWNERS})"
_PROFILE = "'profile_' || i % 5000"
_AGENT = "'agent_' || i % 500"
_NUMBER = "md5((i % 300000)::text) || '00000000000'"
_PAST = f"now() - ({MANY} - i) * interval '2.5 seconds'"
_AHEAD = "now() + interval '1 hour' + i * interval '2.5 seconds'"
_IS_UNDER_WAY = f"i > {MANY - FEW}"


def _id(prefix: str, number: str = "i") -> str:
    return f"'{prefix}_' || lpad(({number})::text, 26, '0')"


def schedule_id(number: int) -> str:
    """The id of one of the schedules, from 1 on."""
    return f"schedule_{number:026d}"


def log_id(number: int) -> str:
    """The id of one of the calls, from 1 on; the latest are under way."""
    return f"log_{number:026d}"


def write_a_million() -> None:
    """Commits them, and does what autovacuum would have done by then."""
    shares = [
        [_schedules(), _armed(), _audit()],
        [_logs(), _webhooks(), _notifications()],
    ]
    with ThreadPoolExecutor(len(shares)) as threads:
        for written in [threads.submit(_write, share) for share in shares]:
            written.result()


def _write(share: list["Copies"]) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
            cursor.execute("SET maintenance_work_mem = '512MB'")
            # Keys point where they should.
            cursor.execute("SET session_replication_role = replica")
            for copies in share:
                copies.write()
                cursor.execute(f"VACUUM (ANALYZE) {copies.row._meta.db_table}")
    finally:
        connection.close()


def forget_a_million() -> None:
    """Away with all of it."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(sorted(BIG_TABLES))} CASCADE")


def _schedules() -> "Copies":
    row = CallScheduleFactory(repeat_config={"enabled": True, "frequency": "daily"})
    return Copies(
        row,
        id=_id("schedule"),
        created_by=_OWNER,
        user_profile_id=_PROFILE,
        agent_instance_id=_AGENT,
        phone_lookup=_NUMBER,
        status=f"CASE WHEN {_IS_UNDER_WAY} THEN 'running' WHEN i % 10 = 0 THEN 'completed' "
        "WHEN i % 10 = 1 THEN 'failed' WHEN i % 100 = 2 THEN 'paused' ELSE 'scheduled' END",
        scheduled_time=_AHEAD,
        created_at=_PAST,
        last_updated=_PAST,
    )


def _armed() -> "Copies":
    """One or two of every schedule that is not over: a few are held, some are paused."""
    is_paused = "i % 100 = 2"
    is_over = "i % 10 < 2"
    return Copies(
        ActiveScheduleFactory(),
        id=_id("active"),
        job_id=_id("job"),
        schedule_id=_id("schedule", f"CASE WHEN {is_over} THEN greatest(i - 5, 3) ELSE i END"),
        attempt=f"CASE WHEN {is_over} THEN 2 ELSE 1 END",
        occurrence=_AHEAD,
        due_at=_AHEAD,
        next_execution=f"CASE WHEN {_IS_UNDER_WAY} THEN now() - interval '1 second' "
        f"WHEN NOT {is_paused} THEN {_AHEAD} END",
        status=f"CASE WHEN {_IS_UNDER_WAY} THEN 'running' WHEN {is_paused} THEN 'paused' "
        "ELSE 'scheduled' END",
        lease=f"CASE WHEN {_IS_UNDER_WAY} THEN 'lease_1' ELSE '' END",
        leased_until=f"CASE WHEN {_IS_UNDER_WAY} THEN now() + interval '1 hour' END",
        runner_id=f"CASE WHEN {_IS_UNDER_WAY} THEN 'runner_1' ELSE '' END",
    )


def _logs() -> "Copies":
    is_talked = "i % 4 > 0"
    return Copies(
        CallLogFactory(),
        id=_id("log"),
        schedule_id=_id("schedule"),
        occurrence=_PAST,
        due_at=_PAST,
        timestamp=_PAST,
        last_updated=_PAST,
        created_by=_OWNER,
        user_profile_id=_PROFILE,
        agent_instance_id=_AGENT,
        phone_lookup=_NUMBER,
        call_id="'CA' || lpad(i::text, 32, '0')",
        status=f"CASE WHEN {_IS_UNDER_WAY} THEN 'in_progress' WHEN {is_talked} THEN 'completed' "
        "WHEN i % 8 = 0 THEN 'busy' ELSE 'no_answer' END",
        duration=f"CASE WHEN {is_talked} THEN i % 300 END",
        next_check_at=f"CASE WHEN {_IS_UNDER_WAY} THEN now() + interval '5 minutes' END",
    )


def _webhooks() -> "Copies":
    row = WebhookEvent.objects.create(
        fingerprint="0" * 64, call_id="CA0", call_status="completed", payload={"CallSid": "CA0"}
    )
    return Copies(
        row,
        id=_id("webhook"),
        fingerprint="lpad(i::text, 64, '0')",
        call_id="'CA' || lpad(i::text, 32, '0')",
        attempt_id=_id("log"),
        outcome="'applied'",
        received_at=_PAST,
        processed_at=_PAST,
    )


def _notifications() -> "Copies":
    is_waiting = _IS_UNDER_WAY
    return Copies(
        NotificationFactory(),
        id=_id("notification"),
        event_id=_id("event"),
        status=f"CASE WHEN {is_waiting} THEN 'waiting' ELSE 'sent' END",
        next_attempt_at=f"CASE WHEN {is_waiting} THEN now() + interval '1 hour' END",
        created_at=_PAST,
        sent_at=_PAST,
        last_updated=_PAST,
    )


def _audit() -> "Copies":
    """All but the latest are sealed."""
    record(Act("call.ended", "call", log_id(1), schedule_id(1), {"status": ("queued", "busy")}))
    return Copies(
        AuditEntry.objects.get(),
        id=_id("audit"),
        happened_at=_PAST,
        actor=_OWNER,
        object_id=_id("log"),
        schedule_id=_id("schedule"),
        sequence=f"CASE WHEN NOT ({_IS_UNDER_WAY}) THEN i END",
    )


class Copies:
    """A million rows like this one but for `values`, expressions over i, in its place."""

    def __init__(self, row: Model, **values: str) -> None:
        self.row = row
        self._values = values

    def write(self) -> None:
        table = self.row._meta.db_table
        columns = [str(field.column) for field in self.row._meta.local_concrete_fields]
        named = ", ".join(f'"{name}"' for name in columns)
        copied = ", ".join(self._values.get(name, f'the_row."{name}"') for name in columns)
        with connection.cursor() as cursor, _indexes_put_up_afterwards(table):
            cursor.execute(
                f'INSERT INTO "{table}" ({named}) SELECT {copied} '  # noqa: S608 (our own names)
                f'FROM "{table}" AS the_row, generate_series(1, {MANY}) AS i '
                f"WHERE the_row.id = '{self.row.pk}'"
            )
            cursor.execute(f'DELETE FROM "{table}" WHERE id = %s', [self.row.pk])  # noqa: S608


@contextmanager
def _indexes_put_up_afterwards(table: str) -> Iterator[None]:
    """Those that are not a constraint's: sorting once is much quicker than a million insertions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
            "WHERE indrelid = %s::regclass AND NOT EXISTS "
            "(SELECT FROM pg_constraint WHERE conindid = indexrelid)",
            [table],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        try:
            yield
        finally:
            for _, definition in indexes:
                cursor.execute(definition)
