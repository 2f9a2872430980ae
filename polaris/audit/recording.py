"""Writes acts down, in the transaction of the change that they tell of.

Entries of one batch go in one INSERT. It is SQL of our own where the database speaks SQL, since
the ORM would take several times as long (docs/decisions/0015); MongoDB has the portable twin."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from polaris.audit.acting import Origin, origin
from polaris.audit.changes import Changes
from polaris.audit.models import CONTENT, AuditEntry, unguarded
from polaris.audit.verbs import VERBS
from polaris.database import in_transaction, is_mongodb, one_statement
from polaris.ids import new_ids
from polaris.inserting import insert_values
from polaris.masking import mask_numbers
from polaris.moments import whole_milliseconds

LONGEST_REASON = 1000
_AT_ONCE = 250  # databases bound the parameters of a statement
_COLUMNS = (*CONTENT, "hash")
_to_json = json.JSONEncoder(separators=(",", ":"), default=str).encode


@dataclass(frozen=True, slots=True)
class Act:
    """What was done to which object; of a schedule's calls `schedule_id` names the schedule."""

    verb: str
    kind: str
    key: str
    schedule_id: str | None = ""
    changes: Changes = field(default_factory=dict)
    reason: str = ""


class _Gathered(threading.local):
    acts: list[Act] | None = None


_gathered = _Gathered()


def record(*acts: Act) -> None:
    """Write acts down: at once, or where `together` ends. Call it within the change's transaction.

    Raises ValueError for a verb that the catalogue does not name."""
    for act in acts:
        if act.verb not in VERBS:
            raise ValueError(f"{act.verb!r} is not in the audit's catalogue of verbs")
    if _gathered.acts is not None:
        _gathered.acts.extend(acts)
    else:
        _write(acts)


def record_read(verb: str, *, kind: str, key: str, schedule_id: str = "", reason: str = "") -> None:
    """Write down that something was looked at which is not shown to everybody."""
    record(Act(verb, kind, key, schedule_id, reason=reason))


@contextmanager
def together() -> Iterator[None]:
    """What is recorded within goes in one statement at the end. Stands inside the transaction.

    Where the block fails nothing is written, as of its changes."""
    if _gathered.acts is not None:
        yield
        return
    acts: list[Act] = []
    _gathered.acts = acts
    try:
        yield
    finally:
        _gathered.acts = None
    _write(acts)


def _write(acts: Sequence[Act]) -> None:
    who, moment = origin(), whole_milliseconds(timezone.now())
    for start in range(0, len(acts), _AT_ONCE):
        part = acts[start : start + _AT_ONCE]
        ids = new_ids("audit", len(part))
        rows = [_row(its_id, moment, who, act) for its_id, act in zip(ids, part, strict=True)]
        with nullcontext() if in_transaction() else one_statement():
            _insert(rows)


def _row(its_id: str, moment: datetime, who: Origin, act: Act) -> tuple[Any, ...]:
    """In the order of CONTENT."""
    return (
        its_id,
        moment,
        who.actor,
        who.actor_name,
        who.agent_instance_id,
        who.address,
        who.request_id,
        act.verb,
        act.kind,
        act.key,
        act.schedule_id or "",
        _to_json(act.changes),
        _reason(act.reason) if act.reason else "",
    )


def _reason(text: str) -> str:
    shown = text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"
    return mask_numbers(shown.replace("\0", ""))


def _insert(rows: Sequence[tuple[Any, ...]]) -> None:
    if is_mongodb():
        _insert_by_the_orm(rows)
        return
    adapt = connection.ops.adapt_datetimefield_value
    # hash is not null and has no default in the database
    insert_values(AuditEntry, _COLUMNS, [(row[0], adapt(row[1]), *row[2:], "") for row in rows])


def _insert_by_the_orm(rows: Sequence[tuple[Any, ...]]) -> None:
    entries = [AuditEntry(**dict(zip(CONTENT, row, strict=True))) for row in rows]
    unguarded().bulk_create(entries)
