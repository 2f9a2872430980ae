"""The whole engine as processes that may be killed, and calls for it to make."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from polaris.database import atomic
from polaris.tests.stack import Stack, wait_until
from schedules import services
from schedules.models import ActiveSchedule, CallSchedule, Runner
from schedules.planning import make_plan
from tracking.models import CallLog

# How often heavier tests go round; a run by hand may ask for more.
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "1"))
PATIENCE = 150  # seconds; a limit for a machine under load, not a claim

# Short, for the suite's sake; the carrier of the suite answers at once unless it means not to.
QUICK = {
    "TWILIO_CONNECT_TIMEOUT": "2",
    "TWILIO_READ_TIMEOUT": "3",
    "SCHEDULER_LEASE_SECONDS": "10",
    "UNKNOWN_LOOKUP_SECONDS": "5",
    "DIALLING_PROBE_SECONDS": "0.5",
    "SCHEDULER_WORKERS": "8",
}

_numbers = count(random.randrange(10**5) * 100)


def number(ending: str = "99") -> str:
    """A number of its own, whose last two digits say what becomes of a call to it."""
    return f"+4915{next(_numbers) % 10**8:08d}{ending}"


def moment(seconds: float) -> datetime:
    """So many seconds from now, in whole milliseconds, as schedules keep it."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def arranged(
    ending: str = "99", *, at: datetime | None = None, owner: str = "somebody", **policies: Any
) -> CallSchedule:
    """A schedule as the API would make it; without `at` due as soon as it is seen."""
    at = at or moment(0)
    plan = make_plan(
        phone=policies.pop("phone", None) or number(ending),
        scheduled_time=at,
        timezone="UTC",
        repeat_config=policies.pop("repeat_config", None),
        now=at - timedelta(seconds=1),
        **policies,
    )
    return services.create_schedule(plan=plan, created_by=owner, description=f"to {ending}")


def arranged_together(endings: Iterable[str], **more: Any) -> list[CallSchedule]:
    """As `arranged`, in one transaction: no runner sees some of them only."""
    with atomic():
        return [arranged(ending, **more) for ending in endings]


class Engine(Stack):
    """A stack whose waiting times are short and whose processes die."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.environment |= QUICK

    def run_until_dead(self, step: str, **environment: str) -> None:
        """A runner that kills itself at the step, and has."""
        self.wait_for_death(self.start_dying(step, **environment))

    def start_dying(self, step: str, **environment: str) -> subprocess.Popen[bytes]:
        """A runner that will kill itself at the step."""
        return self._start("runner", [*_DYING, step, "runner"], environment)

    def start_dying_worker(self, step: str, **environment: str) -> subprocess.Popen[bytes]:
        """A worker that will kill itself at the step; it has signed in."""
        before = Runner.objects.count()
        worker = self._start("worker", [*_DYING, step, "worker"], environment)
        wait_until(lambda: Runner.objects.count() > before, what="a worker has signed in")
        return worker

    def start_dying_web(self, step: str) -> subprocess.Popen[bytes]:
        """A web process that will kill itself at the step; ready for requests."""
        web = self._start("web", [*_DYING, step, "web", str(self.port)])
        wait_until(self._answers, what="the web process answers", patience=PATIENCE)
        return web

    def wait_for_death(self, process: subprocess.Popen[bytes]) -> None:
        """It was no other death than the one arranged."""
        assert process.wait(PATIENCE) == -signal.SIGKILL

    def start_without_waiting(self, **environment: str) -> subprocess.Popen[bytes]:
        """A runner that has not signed in yet."""
        return self._start("runner", [sys.executable, "manage.py", "runapscheduler"], environment)


_DYING = [sys.executable, "-m", "polaris.tests.faults.dying_process"]


def let_leases_run_out() -> None:
    """As time would do: what dead runners hold is free."""
    ActiveSchedule.objects.exclude(leased_until=None).update(leased_until=timezone.now())


def let_checks_come_due() -> None:
    """As time would do: what says nothing by itself is asked for."""
    CallLog.objects.exclude(next_check_at=None).update(next_check_at=timezone.now())


def let_silence_pass() -> None:
    """As time would do: live calls whose webhooks do not come are asked for at the carrier."""
    not_leased = timezone.now() + timedelta(seconds=65)
    silent = CallLog.objects.live().filter(next_check_at__gt=not_leased)
    silent.update(next_check_at=timezone.now())


def is_at_rest() -> bool:
    """Whether nothing of any schedule is under way or armed."""
    return not (
        CallLog.objects.unsettled().exists()
        or ActiveSchedule.objects.exists()
        or CallSchedule.objects.exclude(status__in=_AT_REST).exists()
    )


_AT_REST = ("completed", "failed", "cancelled")


def comes_to_rest(nudge: Callable[[], object] = lambda: None) -> None:
    """Wait until the engine has dealt with everything."""

    def is_done() -> bool:
        nudge()
        return is_at_rest()

    try:
        wait_until(is_done, what="everything has been dealt with", patience=PATIENCE)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{_left()}") from None


def _left() -> str:
    logs = CallLog.objects.unsettled().values_list(
        "pk", "schedule_id", "phone", "attempt", "status", "error_message", "next_check_at"
    )
    armed = ActiveSchedule.objects.values_list(
        "schedule_id", "status", "attempt", "next_execution", "leased_until", "waits_for"
    )
    schedules = CallSchedule.objects.exclude(status__in=_AT_REST).values_list("pk", "status")
    return "\n".join(str(row) for rows in (logs, armed, schedules) for row in rows[:20])


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9."""
    with suppress(ProcessLookupError):
        process.kill()
    process.wait()
