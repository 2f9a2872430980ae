"""Writes Polaris's rows, through its own services wherever a run can wait for that.

This is the one file of the bench that knows Polaris's models. Run in Polaris's environment:

    python -m bench.polaris_rows calls      schedules [[number, seconds since the epoch], …]
    python -m bench.polaris_rows due        arms {"calls": …, "recurring": …, "at": seconds}
    python -m bench.polaris_rows seal       seals the audit; tells how many entries, and how long
    python -m bench.polaris_rows "one by one"  schedules [number, …] now, a while apart
    python -m bench.polaris_rows waiting    arms so many schedules in the far future
    python -m bench.polaris_rows logs       writes {"logs": …, "owners": …} logs of past calls
    python -m bench.polaris_rows users      makes {"name": is_superuser, …}; tells their tokens
"""

import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.account import number  # noqa: E402
from polaris.access import owner_id  # noqa: E402
from polaris.accounts.tokens import issue  # noqa: E402
from polaris.audit.sealing import seal  # noqa: E402
from polaris.database import atomic  # noqa: E402
from schedules.models import ActiveSchedule, CallSchedule  # noqa: E402
from schedules.planning import make_plan  # noqa: E402
from schedules.services import create_schedule  # noqa: E402
from schedules.states import ScheduleStatus  # noqa: E402
from tracking.models import CallLog  # noqa: E402

_AT_ONCE = 1000


def calls(asked: list[tuple[str, float]]) -> int:
    """Schedule one-time calls, all in one transaction."""
    with atomic():
        for phone, moment in asked:
            _schedule(phone, datetime.fromtimestamp(moment, UTC))
    return len(asked)


def due(asked: dict[str, Any]) -> int:
    """Arm calls that are due at one moment, each to a number of its own; the first `recurring` of
    them come again the next day. Rows as the service writes them, many in a statement."""
    moment = datetime.fromtimestamp(asked["at"], UTC)
    daily = {"enabled": True, "frequency": "daily"}
    for start in range(0, asked["calls"], _AT_ONCE):
        turns = range(start, min(start + _AT_ONCE, asked["calls"]))
        schedules = [
            CallSchedule(
                created_by="user_1",
                agent_instance_id="agent_1",
                status=ScheduleStatus.SCHEDULED,
                phone=number(turn),
                scheduled_time=moment,
                timezone="UTC",
                repeat_config=daily if turn < asked["recurring"] else None,
            )
            for turn in turns
        ]
        with atomic():
            CallSchedule.objects.bulk_create(schedules)
            ActiveSchedule.objects.bulk_create(
                ActiveSchedule(
                    schedule=each, occurrence=moment, next_execution=moment, due_at=moment
                )
                for each in schedules
            )
    _settle_statistics()
    return asked["calls"]


def seal_audit(_: None) -> dict[str, float]:
    """As housekeeping does: one process, an entry after the other."""
    begun = time.perf_counter()
    return {"entries": seal(), "seconds": time.perf_counter() - begun}


def one_by_one(numbers: list[str]) -> dict[str, float]:
    """Schedule calls that are due at once, each by itself; tells when each was committed.

    A while passes between them, long enough for the runners to be idle again, and by chance."""
    committed = {}
    for phone in numbers:
        time.sleep(random.uniform(0.1, 0.4))
        _schedule(phone, timezone.now())
        committed[phone] = time.time()
    return committed


def waiting(count: int) -> int:
    """Arm `count` schedules, from ten days ahead, one a second: one by the service, then its
    rows copied by the database with ids and times of their own."""
    first = _schedule("+16505550000", timezone.now() + timedelta(days=10))
    _multiply("call_schedules", f"id = '{first.pk}'", count - 1, ids={"id"})
    ids = {"id", "job_id", "schedule_id"}
    _multiply("active_schedules", f"schedule_id = '{first.pk}'", count - 1, ids=ids)
    _settle_statistics()
    return count


def logs(asked: dict[str, int]) -> int:
    """Write logs of calls of the last thirty days, spread over `owners` accounts, the first user
    among them. Three quarters completed."""
    count, owners = asked["logs"], asked["owners"]
    user = get_user_model().objects.order_by("pk").first()
    log = CallLog.objects.create(created_by=owner_id(user), phone="+16505550000")
    states = ["completed", "completed", "completed", "busy", "completed", "no_answer", "completed",
              "failed"]  # fmt: skip
    _multiply(
        "call_logs",
        f"id = '{log.pk}'",
        count - 1,
        ids={"id"},
        created_by=f"'user_' || ({user.pk} + i % {owners})",
        status=f"(ARRAY{states!r})[1 + i % {len(states)}]",
        duration=f"CASE WHEN (ARRAY{states!r})[1 + i % {len(states)}] = 'completed' "
        "THEN 5 + i % 300 END",
        timestamp="row.timestamp - i * interval '2.5 seconds'",
        call_id="'CA' || lpad(to_hex(i), 32, '0')",
    )
    _settle_statistics()
    return count


def users(asked: dict[str, bool]) -> dict[str, str]:
    """Make accounts in the order given; tells an access token of each."""
    tokens = {}
    for name, is_superuser in asked.items():
        user = get_user_model().objects.create_user(
            name, is_staff=is_superuser, is_superuser=is_superuser
        )
        token = issue(user=user).access_token
        token.set_exp(lifetime=timedelta(hours=12))
        tokens[name] = str(token)
    return tokens


def _schedule(phone: str, moment: datetime) -> CallSchedule:
    plan = make_plan(
        phone=phone,
        scheduled_time=moment,
        timezone="UTC",
        repeat_config=None,
        now=moment - timedelta(seconds=1),
    )
    return create_schedule(plan=plan, created_by="user_1", agent_instance_id="agent_1")


def _multiply(table: str, which: str, count: int, *, ids: set[str], **values: str) -> None:
    """Copy the one row `which` `count` times. Columns in `ids` become unique (a schedule's id and
    the armed row's schedule_id come out alike), moments in the future one second apart."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name = %s",
            [table],
        )
        columns = dict(cursor.fetchall())
        copied = {
            name: values.get(name) or _copied(name, kind, ids) for name, kind in columns.items()
        }
        names = ", ".join(f'"{name}"' for name in copied)
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {', '.join(copied.values())} "
            f"FROM (SELECT * FROM {table} WHERE {which}) AS row, generate_series(1, {count}) AS i"
        )


def _copied(name: str, kind: str, ids: set[str]) -> str:
    column = f'row."{name}"'
    if name in ids:
        return f"left({column}, -8) || lpad(to_hex(i), 8, '0')"
    if kind == "timestamp with time zone":
        moved = f"{column} + i * interval '1 second'"
        return f"CASE WHEN {column} > now() + interval '1 day' THEN {moved} ELSE {column} END"
    return column


def _settle_statistics() -> None:
    """What autovacuum would have done within minutes."""
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


_WRITERS = {
    "calls": calls,
    "due": due,
    "seal": seal_audit,
    "one by one": one_by_one,
    "waiting": waiting,
    "logs": logs,
    "users": users,
}

if __name__ == "__main__":
    print(json.dumps(_WRITERS[sys.argv[1]](json.load(sys.stdin))))
