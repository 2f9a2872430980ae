"""Wakes idle runners for what another process has just armed.

On PostgreSQL by NOTIFY, right after the commit, so that nobody looks for a row that is not to be
seen yet; every runner listens on a connection of its own. The other databases have nothing of the
kind: there, and wherever nobody can tell or listen, the runners' poll finds it.

Not in the transaction that arms: PostgreSQL lets those that notify commit one after the other, each
with its own write to the disk (docs/decisions/0021 has the figures).
"""

import logging
import secrets
import select
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from polaris.database import in_one_line, on_commit

logger = logging.getLogger(__name__)

_CHANNEL = "polaris_armed"
# What is due later than everybody's next poll is found by it. Clocks may differ by so much.
_SKEW = timedelta(seconds=1)
_PROOF_SECONDS = 2.0
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 30.0
_LONG_AGO = datetime.fromtimestamp(0, UTC)


def wake_runners(*, due: datetime) -> None:
    """Have idle runners look for what was armed to be looked at at `due`, if their poll would not
    do. Call it in the transaction that arms: it is told after the commit, or not at all."""
    if connection.vendor != "postgresql":
        return
    if due <= timezone.now() + settings.SCHEDULER_POLL + _SKEW:
        on_commit(partial(_notify, due))


def _notify(due: datetime) -> None:
    """In a transaction of its own, which holds up nobody with a write to the disk."""
    word = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, %s)"
    try:
        with connection.cursor() as cursor:
            cursor.execute(word, [_CHANNEL, due.isoformat()])
    except Error as error:  # what is armed is armed
        logger.warning("no runner is woken, the poll will find it: %s", in_one_line(error))


class NotHeard(Error):
    """The database takes LISTEN and delivers nothing (PgBouncer, pooling by transaction?)."""


class Listener:
    """Hears what others arm, in a thread of its own, until it is closed.

    `hear` is called with the time at which something is due. The thread outlives the database, and
    tells when it cannot listen: then what others arm is found by the poll."""

    def __init__(self, hear: Callable[[datetime], object]) -> None:
        self._hear = hear
        self._is_deaf = False
        self._stopper: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin, where the database has anything to tell."""
        if connection.vendor == "postgresql":
            self._stopped, self._stopper = socket.socketpair()
            self._thread.start()

    def close(self) -> None:
        """End at once; an attempt to connect is left to fail by itself."""
        if self._stopper is not None:
            self._stopper.close()  # which is heard at the other end
            self._thread.join(1.0)

    def _run(self) -> None:
        with self._stopped:
            self._go_on()

    def _go_on(self) -> None:
        wait = _FIRST_WAIT
        while not self._is_stopped_within(wait if self._is_deaf else 0):
            try:
                with connection.wrap_database_errors, closing(_connect()) as wire:
                    self._prove(wire)
                    wait = _FIRST_WAIT
                    self._listen(wire)
            except Error as error:
                self._tell_of(error)
                wait = min(wait * 2, _LONGEST_WAIT)

    def _prove(self, wire: Any) -> None:
        """Raises NotHeard unless a word of another connection comes through."""
        proof = f"polaris_proof_{secrets.token_hex(8)}"
        wire.execute(f"LISTEN {_CHANNEL}")
        wire.execute(f"LISTEN {proof}")
        with closing(_connect()) as other:
            other.execute(f"NOTIFY {proof}")
        heard = wire.notifies(timeout=_PROOF_SECONDS)
        if not any(notice.channel == proof for notice in heard):
            raise NotHeard(NotHeard.__doc__)
        heard.close()
        wire.execute(f"UNLISTEN {proof}")
        logger.log(
            logging.WARNING if self._is_deaf else logging.INFO,
            "it is heard at once what other processes arm",
        )
        self._is_deaf = False
        self._hear(_LONG_AGO)  # what was armed meanwhile

    def _listen(self, wire: Any) -> None:
        while True:
            readable, _, _ = select.select([wire, self._stopped], [], [])
            if self._stopped in readable:
                return
            for notice in wire.notifies(timeout=0):
                self._hear(datetime.fromisoformat(notice.payload))

    def _is_stopped_within(self, seconds: float) -> bool:
        return bool(select.select([self._stopped], [], [], seconds)[0])

    def _tell_of(self, error: Error) -> None:
        """Once, however often it fails."""
        if not self._is_deaf:
            logger.warning(
                "what other processes arm is not heard, but found within %g s by the poll: %s",
                settings.SCHEDULER_POLL.total_seconds(),
                in_one_line(error),
            )
        self._is_deaf = True


def _connect() -> Any:
    """A connection apart from those that the threads keep, whose age and pool are not its own."""
    database: Any = connection
    parameters = database.get_connection_params() | {"autocommit": True}
    return database.Database.connect(**parameters)
