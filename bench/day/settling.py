"""What is done with the occurrences of a claim: decided, called in name only, and armed again.

In place of the ledger and the carrier stands a narrow table, day_calls: what became of each
attempt, and when. Everything that decides about time is Polaris's own."""

import zlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from polaris.database import among, atomic
from polaris.inserting import insert_all
from polaris.states import move
from schedules import arming
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import IN_HAND, ArmedStatus, ScheduleStatus
from tracking.decisions import Dial, Miss, Wait, decide
from tracking.retrying import due_again

_RINGS = timedelta(seconds=25)
# What becomes of a call, in the words of a retry policy ("" is a completed one), of a thousand.
_OUTCOMES = [("", 600), ("no_answer", 220), ("busy", 100), ("failed", 80)]


class Batch(NamedTuple):
    """A claim: its lease, the simulated moment, and when each of its rows may begin."""

    lease: str
    moment: datetime
    begins: dict[str, datetime]


def settle(batch: Batch, seed: int) -> Counter[str]:
    """Deal with a claim in one transaction; says how often what was decided."""
    with atomic():
        held = list(
            ActiveSchedule.objects.filter(lease=batch.lease, status=ArmedStatus.PENDING)
            .order_by("pk")
            .select_for_update()
        )
        schedules = CallSchedule.objects.filter(among("pk", {each.schedule_id for each in held}))
        by_id = {each.pk: each for each in schedules.order_by("pk").select_for_update()}
        done = _Done()
        for armed in held:
            armed.schedule = by_id[armed.schedule_id]
            _decide(armed, batch, seed, done)
        done.write()
    return done.counted


def _decide(armed: ActiveSchedule, batch: Batch, seed: int, done: "_Done") -> None:
    decision = decide(armed, existing=None, live=(), now=batch.moment)
    done.counted[type(decision).__name__] += 1
    match decision:
        case Dial():
            done.dial(armed, max(batch.begins[armed.pk], armed.due_at), seed)
        case Miss() as miss:
            done.miss(armed, miss)
        case Wait() as wait:
            moved = {"due_at": wait.until} if wait.is_due_then else {}
            arming.put_off(armed, until=wait.until, reason=wait.reason, **moved)
            done.armed_again.append(armed.schedule_id)
        case _:
            raise AssertionError(f"{armed.pk}: {decision}")


class _Done:
    """What is to be written of a claim."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.dialled: list[ActiveSchedule] = []
        self.calls: list[Sequence[Any]] = []
        self.retries: list[ActiveSchedule] = []
        self.armed_again: list[str] = []
        self.ended: dict[str, bool] = {}

    def dial(self, armed: ActiveSchedule, at: datetime, seed: int) -> None:
        """It is called now, and its end is known at once."""
        schedule = armed.schedule
        outcome, talked = _fate(armed, seed)
        self.dialled.append(armed)
        self.calls.append(_call(armed, armed.occurrence, at, outcome or "completed"))
        due_at = due_again(
            schedule,
            occurrence=armed.occurrence,
            outcome=outcome,
            attempts=armed.attempt,
            ended_at=at + _RINGS + talked,
        )
        if due_at is not None:
            self.counted["Retry"] += 1
            self.retries.append(
                ActiveSchedule(
                    schedule=schedule,
                    origin=ActiveSchedule.Origin.RETRY,
                    occurrence=armed.occurrence,
                    attempt=armed.attempt + 1,
                    due_at=due_at,
                    next_execution=due_at,
                )
            )
        self._note(armed, goes_on=due_at is not None, reached=not outcome)

    def miss(self, armed: ActiveSchedule, miss: Miss) -> None:
        """Its time has passed; the first one after it is armed, if there is one."""
        for occurrence in miss.reasons:
            self.calls.append(_call(armed, occurrence, None, f"missed: {miss.code}"))
        arming.consume(armed, after=max(miss.reasons))
        self._note(armed, goes_on=False, reached=False)

    def _note(self, armed: ActiveSchedule, *, goes_on: bool, reached: bool) -> None:
        if goes_on or armed.schedule.is_recurring:
            self.armed_again.append(armed.schedule_id)
        else:
            self.ended[armed.schedule_id] = reached

    def write(self) -> None:
        """Armed rows first, then schedules, as everybody does."""
        arming.consume_together(self.dialled)
        insert_all(self.retries)
        with connection.cursor() as cursor, cursor.copy("COPY day_calls FROM STDIN") as copy:
            for call in self.calls:
                copy.write_row(call)
        for to, keys in (
            (ScheduleStatus.SCHEDULED, self.armed_again),
            (ScheduleStatus.COMPLETED, [key for key, reached in self.ended.items() if reached]),
            (ScheduleStatus.FAILED, [key for key, reached in self.ended.items() if not reached]),
        ):
            if keys:
                move(CallSchedule.objects.filter(among("pk", keys)), to=to, sources=IN_HAND)


def _call(
    armed: ActiveSchedule, occurrence: datetime, at: datetime | None, outcome: str
) -> Sequence[Any]:
    pattern = int(armed.schedule.user_profile_id.partition("_")[2])
    return (
        armed.schedule_id, pattern, occurrence, armed.attempt, armed.due_at, at, outcome,
    )  # fmt: skip


def _fate(armed: ActiveSchedule, seed: int) -> tuple[str, timedelta]:
    """Drawn from the seed and the attempt alone, whoever deals with it and when."""
    drawn = zlib.crc32(f"{seed}:{armed.schedule_id}:{armed.occurrence}:{armed.attempt}".encode())
    place = drawn % 1000
    for outcome, share in _OUTCOMES:
        if place < share:
            return outcome, timedelta(seconds=0 if outcome else 20 + drawn % 181)
        place -= share
    raise AssertionError(place)
