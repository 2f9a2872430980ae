"""Notices that runners live and none of them can dial, tells so once, and tells when one can again.

Each runner looks, with its heartbeat, at what all of them have written of their trouble."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from polaris.moments import show_utc
from polaris.repeating import repeated
from schedules.models import Runner, RunnerWatch
from schedules.watch import begin_outage, end_outage

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    since: float | None = None


_seen = _Seen()


def look() -> None:
    """See whether any runner can dial; one that cannot for a moment is no alarm."""
    troubles = list(Runner.objects.claiming().alive().values_list("trouble", flat=True))
    if not troubles or not all(troubles):
        _seen.since = None
        if troubles:
            note_unblocked()
        return
    moment = time.monotonic()
    if _seen.since is None:
        _seen.since = moment
    lasted = timedelta(seconds=moment - _seen.since)
    if lasted.total_seconds() >= settings.RUNNER_MISSING_SECONDS:
        note_blocked(str(troubles[0]), since=timezone.now() - lasted)


@repeated
def note_blocked(reason: str, *, since: datetime) -> bool:
    """No runner can dial: tell so, unless nothing is armed or it was told; says whether it was."""
    told = {"since": show_utc(since), "reason": reason}
    if not begin_outage(RunnerWatch.BLOCKED, "runner.blocked", since, told):
        return False
    logger.error("no runner can dial, and calls are armed: %s", reason)
    return True


@repeated
def note_unblocked() -> bool:
    """One can: tell so, if it was told that none could; says whether it was."""
    if not end_outage(RunnerWatch.BLOCKED, "runner.unblocked"):
        return False
    logger.warning("a runner can dial again")
    return True
