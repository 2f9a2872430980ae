"""Notices that nobody runs though calls are armed, tells so once, and tells when somebody is back.

Web processes look, for they are alive when no runner is, and so do the runners themselves, with
each heartbeat; they also look for the workers, where there are to be any. Whoever sees a change
first moves the watch's row by compare-and-set and alone tells of it.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from polaris.database import atomic
from polaris.events import publish
from polaris.moments import show_utc
from polaris.repeating import repeated
from schedules.models import ActiveSchedule, Runner, RunnerQuerySet, RunnerWatch
from schedules.waiting import what_waits

logger = logging.getLogger(__name__)

# A watcher that has not looked for so long (the machine slept) begins its watch anew.
_LONGEST_GAP = 20.0


@dataclass(frozen=True, slots=True)
class Watched:
    """Those of whom one must be there: the watch's row, and their name in events."""

    key: str
    role: Runner.Role

    def all(self) -> RunnerQuerySet:
        """Living and dead."""
        return Runner.objects.filter(role=self.role)

    def is_there(self) -> bool:
        """Whether one runs; one that falls as soon as it has started, again and again, does not."""
        return any(each.has_settled for each in self.all().alive())

    def was_there(self, since: datetime) -> bool:
        """Whether one has run since then: it may be on its way back, and a restart is no alarm."""
        return any(each.has_settled for each in self.all().filter(last_seen_at__gte=since))


RUNNERS = Watched(RunnerWatch.RUNNERS, Runner.Role.RUNNER)
WORKERS = Watched(RunnerWatch.WORKERS, Runner.Role.WORKER)


@dataclass(slots=True)
class Watcher:
    """One process's watch. It judges only after it has watched, without a gap, for as long as a
    runner may be silent: after a reboot or an outage of the database everybody gets that time."""

    whom: Watched = RUNNERS
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
        if self.whom.is_there():
            note_back(self.whom)
        elif watched >= settings.RUNNER_MISSING_SECONDS:
            note_missing(self.whom)


_watcher = Watcher()
_watcher_of_workers = Watcher(WORKERS)


def look() -> None:
    """A web process's watch: what it tells is also sent, since nobody else is there to do so."""
    _watcher.look()
    if is_missing():
        import_string(settings.COMPANION_JOBS["deliver notifications"].replace(":", "."))()


def look_for_workers() -> None:
    """A runner's watch, where it hands over what it claims: without workers nothing is dialled."""
    if settings.SCHEDULER_EXECUTOR == "celery":
        _watcher_of_workers.look()


def is_missing(whom: Watched = RUNNERS) -> bool:
    """Whether nobody is known to run."""
    return _outages(whom.key).exists()


def missing_since(whom: Watched = RUNNERS) -> datetime | None:
    """Since when nobody is known to run; None while somebody does."""
    return _outages(whom.key).values_list("missing_since", flat=True).first()


def _outages(key: str) -> QuerySet[RunnerWatch]:
    """The watch's row, while it has been told that nothing is dialled."""
    return RunnerWatch.objects.filter(pk=key).exclude(missing_since=None)


@repeated
def note_missing(whom: Watched = RUNNERS) -> bool:
    """Nobody runs: tell so, unless nothing is armed or it was told; says whether it was."""
    moment = timezone.now()
    if whom.was_there(moment - timedelta(seconds=settings.RUNNER_MISSING_SECONDS)):
        return False
    last = whom.all().order_by("-last_seen_at").values_list("last_seen_at", flat=True).first()
    told = {"since": show_utc(last) if last else ""}
    if not begin_outage(whom.key, f"{whom.role}.missing", last or moment, told):
        return False
    logger.error("no %s runs, and calls are armed: nothing is dialled", whom.role)
    return True


@repeated
def note_back(whom: Watched = RUNNERS) -> bool:
    """Somebody runs: tell so, if it was told that nobody did; says whether it was."""
    if not is_missing(whom) or not whom.is_there():
        return False
    if not end_outage(whom.key, f"{whom.role}.back"):
        return False
    logger.warning("a %s runs again", whom.role)
    return True


def begin_outage(key: str, event: str, since: datetime, told: dict[str, str | None]) -> bool:
    """Publish that nothing is dialled, with what is `told`, unless nothing is armed or somebody
    has done so; says whether it was done."""
    if _outages(key).exists():  # before what waits is counted: in an outage that may be very much
        return False
    first = ActiveSchedule.objects.earliest_execution()
    if first is None:
        return False
    RunnerWatch.objects.get_or_create(pk=key)
    watch = RunnerWatch.objects.filter(pk=key, missing_since=None)
    waiting = what_waits(timezone.now())
    with atomic():
        if not watch.update(missing_since=since):
            return False
        publish(event, **told, next_execution=show_utc(first), waiting=waiting.count)
    return True


def end_outage(key: str, event: str) -> bool:
    """Publish that it is over, if its beginning was and nobody has done so."""
    watch = _outages(key).first()
    if watch is None:
        return False
    with atomic():
        missing = RunnerWatch.objects.filter(pk=key, missing_since=watch.missing_since)
        if not missing.update(missing_since=None):
            return False
        publish(event, since=show_utc(watch.missing_since))
    return True
