"""Notices that nobody runs though calls are armed, tells so once, and tells when somebody is back.

Web processes look, for they are alive when no runner is, and so do the runners themselves, with
each heartbeat. Whoever sees a change first moves the watch's row by compare-and-set and alone
tells of it.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error
from django.utils import timezone
from django.utils.module_loading import import_string

from polaris.database import atomic
from polaris.events import publish
from polaris.moments import show_utc
from polaris.repeating import repeated
from schedules.models import ActiveSchedule, Runner, RunnerWatch
from schedules.waiting import what_waits

logger = logging.getLogger(__name__)

# A watcher that has not looked for so long (the machine slept) begins its watch anew.
_LONGEST_GAP = 20.0


@dataclass(slots=True)
class Watcher:
    """One process's watch. It judges only after it has watched, without a gap, for as long as a
    runner may be silent: after a reboot or an outage of the database everybody gets that time."""

    since: float | None = None
    looked: float = 0.0

    def look(self) -> None:
        """See whether anybody runs, and tell of a change."""
        moment = time.monotonic()
        if self.since is None or moment - self.looked > _LONGEST_GAP:
            self.since = moment
        self.looked = moment
        try:
            self._judge(moment - self.since)
        except Error:
            self.since = None
            raise

    def _judge(self, watched: float) -> None:
        if Runner.objects.alive().exists():
            note_back()
        elif watched >= settings.RUNNER_MISSING_SECONDS:
            note_missing()


_watcher = Watcher()


def look() -> None:
    """A web process's watch: what it tells is also sent, since nobody else is there to do so."""
    _watcher.look()
    if is_missing():
        import_string(settings.COMPANION_JOBS["deliver notifications"].replace(":", "."))()


def is_missing() -> bool:
    """Whether nobody is known to run."""
    return RunnerWatch.objects.exclude(missing_since=None).exists()


def missing_since() -> datetime | None:
    """Since when nobody is known to run; None while somebody does."""
    watch = RunnerWatch.objects.filter(pk=RunnerWatch.RUNNERS).first()
    return watch.missing_since if watch else None


@repeated
def note_missing() -> bool:
    """Nobody runs: tell so, unless nothing is armed or it was told; says whether it was."""
    moment = timezone.now()
    silent_since = moment - timedelta(seconds=settings.RUNNER_MISSING_SECONDS)
    # One that was stopped lately may be on its way back: a restart is no alarm.
    if Runner.objects.filter(last_seen_at__gte=silent_since).exists():
        return False
    first = ActiveSchedule.objects.earliest_execution()
    if first is None:
        return False
    RunnerWatch.objects.get_or_create(pk=RunnerWatch.RUNNERS)
    watch = RunnerWatch.objects.filter(pk=RunnerWatch.RUNNERS, missing_since=None)
    last = Runner.objects.order_by("-last_seen_at").values_list("last_seen_at", flat=True).first()
    waiting = what_waits(moment)
    with atomic():
        if not watch.update(missing_since=last or moment):
            return False
        publish(
            "runner.missing",
            since=show_utc(last) if last else "",
            next_execution=show_utc(first),
            waiting=waiting.count,
        )
    logger.error("no runner runs, and calls are armed: nothing is dialled")
    return True


@repeated
def note_back() -> bool:
    """Somebody runs: tell so, if it was told that nobody did; says whether it was."""
    watch = RunnerWatch.objects.filter(pk=RunnerWatch.RUNNERS).exclude(missing_since=None).first()
    if watch is None:
        return False
    with atomic():
        missing = RunnerWatch.objects.filter(pk=watch.pk, missing_since=watch.missing_since)
        if not missing.update(missing_since=None):
            return False
        publish("runner.back", since=show_utc(watch.missing_since))
    logger.warning("a runner runs again")
    return True
