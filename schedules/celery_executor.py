"""Hands claimed occurrences over to Celery's workers.

A message is a hint that a claimed row is to be dialled, and the row tells what became of it: it is
looked at again and again until its claim has ended. A hint that nobody has followed is given once
more, while the claim is renewed; then the row is given back, as is what cannot be handed over.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from apscheduler.job import Job
from django.conf import settings
from django.db import DatabaseError, connection

from polaris.celery import DIAL, app
from polaris.database import in_one_line, renew_connection
from schedules import claims, gate
from schedules.executor import Places
from schedules.models import Runner
from schedules.states import ArmedStatus

logger = logging.getLogger(__name__)

# How often the rows are looked at, in seconds: when places are waited for, and else.
_SOON, _LATER = 0.05, 0.5
# How often the workers are counted, and a broker that was away is tried.
_NOW_AND_THEN = 1.0
_NO_BROKER = "the broker takes nothing, so nothing is dialled"
_IGNORED = (
    "workers are alive, but none takes what is handed over: they may have another broker or queue"
)
# Who hands over does not wait for a broker that is away or hangs: it is tried again later.
_AT_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_IMPATIENT = _AT_ONCE | {"socket_timeout": 3}
# For each thread of a worker, so that none waits for a runner to look.
_IN_HAND = 2


@dataclass(slots=True)
class _Handed:
    """A claimed row on its way: its job, its claim, when it may begin, and when it was sent."""

    job_id: str
    armed_id: str
    lease: str
    begins_at: float
    is_trial: bool
    sent_at: float = 0.0
    is_repeated: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.armed_id, self.lease


class CeleryExecutor(Places):
    """Has as many places as the living workers have, twice over: without workers none.

    One thread sends, looks and renews; the scheduler waits neither for the broker nor for it."""

    is_queue = True

    def __init__(self, places: int) -> None:
        super().__init__()
        self._places_of_a_worker = places
        self._workers = -1  # not counted yet
        self._is_away = False
        self._is_ignored = False
        self._is_told = False
        self._to_send: queue.SimpleQueue[_Handed] = queue.SimpleQueue()
        self._handed: dict[tuple[str, str], _Handed] = {}
        self._looked_at = self._counted_at = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep_on, name="handing over", daemon=True)

    def start(self, scheduler: object, alias: str) -> None:
        """From here on."""
        super().start(scheduler, alias)
        app.conf.broker_transport_options |= _IMPATIENT
        self._thread.start()

    def shutdown(self, wait: bool = True) -> None:
        """What is on its way stays: the store gives back what no worker has begun."""
        self._is_over.set()
        if wait and self._thread.is_alive():
            self._thread.join()

    def places(self) -> int:
        """How many rows may be on their way; none while there is nobody to send them to."""
        if self._is_away or self._workers < 1:
            return 0
        # Where nothing is taken one row tries again and again, and the others wait for anybody.
        return 1 if self._is_ignored else self._workers * self._places_of_a_worker * _IN_HAND

    def trouble(self) -> str | None:
        """That the broker is away, or that nobody takes what is handed over."""
        if self._is_away:
            return _NO_BROKER
        return _IGNORED if self._is_ignored else None

    def submit_job(self, job: Job, run_times: Sequence[datetime]) -> None:
        """Whatever else of this job is in hand: a row has one claim at a time, so an earlier run is
        over and has only not been looked at yet."""
        with self._lock:
            self._do_submit_job(job, run_times)
            self._instances[job.id] += 1

    def _do_submit_job(self, job: Job, run_times: Sequence[datetime]) -> None:
        armed_id, lease, begins_at = job.args
        # The gate was looked at in this thread, with this claim.
        self._to_send.put(_Handed(job.id, armed_id, lease, begins_at, gate.was_closed()))

    def _keep_on(self) -> None:
        self._connect()
        while not self._is_over.is_set():
            try:
                self._turn()
            except DatabaseError as error:
                logger.warning("the database failed: %s", in_one_line(error))
                self._is_over.wait(_NOW_AND_THEN)
            except Exception:
                logger.exception("handing over failed")
                self._is_over.wait(_NOW_AND_THEN)
        connection.close()  # of this thread

    def _connect(self) -> None:
        """Ahead of the first call, which would wait for it."""
        try:
            with app.producer_or_acquire() as producer:
                producer.connection.ensure_connection(**_AT_ONCE)
        except Exception as error:
            self._note_away(error)

    def _turn(self) -> None:
        interval = _SOON if self.is_waited_for else _LATER
        batch = self._take(patience=interval)
        if batch:
            self._hand_over(batch)
        moment = time.monotonic()
        if moment - self._looked_at >= interval:
            self._looked_at = moment
            renew_connection()
            self._look(moment)
        if moment - self._counted_at >= _NOW_AND_THEN:
            self._counted_at = moment
            self._count()

    def _take(self, patience: float) -> list[_Handed]:
        try:
            first = self._to_send.get(timeout=patience)
        except queue.Empty:
            return []
        return [first, *self._take_the_rest()]

    def _take_the_rest(self) -> list[_Handed]:
        rest = []
        with suppress(queue.Empty):
            while True:
                rest.append(self._to_send.get_nowait())
        return rest

    def _hand_over(self, batch: list[_Handed]) -> None:
        """Send them; what the broker does not take is given back, for another time."""
        self._note_in_hand(batch)
        left = deque(batch)
        try:
            while left and not self._is_away:
                self._send(left[0])
                left.popleft()
        except Exception as error:  # whatever the broker's client raises, it was not taken
            self._note_away(error)
        if left:
            come_meanwhile = self._take_the_rest()
            self._note_in_hand(come_meanwhile)
            self._give_back([*left, *come_meanwhile])
        else:
            self._is_told = False

    def _note_in_hand(self, batch: list[_Handed]) -> None:
        self._handed |= {each.key: each for each in batch}

    def _send(self, each: _Handed) -> None:
        app.send_task(
            DIAL,
            args=(each.armed_id, each.lease, each.begins_at, each.is_trial),
            # It is sent again by then.
            expires=settings.SCHEDULER_LEASE_SECONDS,
            retry=False,
        )
        each.sent_at = time.monotonic()

    def _give_back(self, batch: list[_Handed]) -> None:
        returned = claims.give_back_these([each.key for each in batch])
        if any(each.is_trial for each in batch):
            gate.give_back()
        for each in batch:
            self._answered(each)
        logger.info("%d calls were not handed over, and are given back", returned)

    def _look(self, moment: float) -> None:
        """What became of what was handed over; what nobody has begun for long is sent again, and
        then given back."""
        if not self._handed:
            return
        held = claims.still_held(list(self._handed))
        gone = [each for key, each in self._handed.items() if key not in held]
        are_taken = bool(gone) or ArmedStatus.RUNNING in held.values()
        if are_taken:
            self._note_taken()
        for each in gone:
            self._answered(each)
        waiting = [each for key, each in self._handed.items() if held[key] == ArmedStatus.PENDING]
        if waiting and not self._workers:
            self._give_back(waiting)
            return
        patience = settings.SCHEDULER_LEASE_SECONDS / 2
        forgotten = [each for each in waiting if moment - each.sent_at > patience]
        if ignored := [each for each in forgotten if each.is_repeated]:
            if not are_taken:  # else the workers are only slow
                self._note_ignored()
            self._give_back(ignored)
        self._repeat([each for each in forgotten if not each.is_repeated])

    def _repeat(self, forgotten: list[_Handed]) -> None:
        if forgotten and claims.renew([each.key for each in forgotten], settings.SCHEDULER_LEASE):
            logger.info("%d calls are handed over once more", len(forgotten))
            for each in forgotten:
                each.is_repeated = True
            self._hand_over(forgotten)

    def _answered(self, each: _Handed) -> None:
        if self._handed.pop(each.key, None):
            self._run_job_success(each.job_id, [])

    def _count(self) -> None:
        """The workers; and a broker that was away is looked for."""
        workers, was_nowhere = Runner.objects.workers().alive().count(), not self.places()
        if not workers and self._workers != 0:
            logger.error("no worker is alive: nothing is claimed until there is one")
        self._workers = workers
        if self._is_away:
            self._look_for_broker()
        if was_nowhere and self.places():
            self._scheduler.wakeup()

    def _note_ignored(self) -> None:
        if not self._is_ignored:
            logger.error(_IGNORED)
        self._is_ignored = True

    def _note_taken(self) -> None:
        if self._is_ignored:
            logger.warning("workers take what is handed over again")
            self._is_ignored = False
            self._scheduler.wakeup()

    def _note_away(self, error: Exception) -> None:
        self._is_away = True
        if not self._is_told:
            reason = in_one_line(error)
            logger.error("%s: %s", _NO_BROKER, reason)
        self._is_told = True

    def _look_for_broker(self) -> None:
        try:
            with app.connection_for_write() as broker:
                broker.ensure_connection(**_AT_ONCE)
        except Exception:
            return  # it was told that it is away
        self._is_away = False
        logger.warning("the broker is there again")
