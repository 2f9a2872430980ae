"""While the database is away: one request at a time tries whether it is back, and all others are
answered at once, so that a host that hangs does not hang every thread of the web process."""

import logging
import threading

from django.db import Error, connection

from polaris.database import in_one_line, is_mongodb

logger = logging.getLogger(__name__)

RETRY_AFTER = 5  # seconds, as clients are told


class Outage:
    """Whether the database is away, as far as this process has seen."""

    def __init__(self) -> None:
        self._is_on = False
        self._attempt = threading.Lock()

    def note(self, error: BaseException) -> None:
        """A request could not reach the database. One that is merely busy is not away."""
        if connection.in_atomic_block or is_mongodb() or _is_connected():
            logger.warning("the database is out of reach: %s", in_one_line(error))
            return
        if not self._is_on:
            logger.error("the database is away: %s", in_one_line(error))
        self._is_on = True

    def blocks(self) -> bool:
        """Whether a request need not try: the database is away, or somebody else is trying."""
        if not self._is_on:
            return False
        if not self._attempt.acquire(blocking=False):
            return True
        try:
            connection.close()
            connection.ensure_connection()
        except Error:
            return True
        else:
            logger.warning("the database is back")
            self._is_on = False
            return False
        finally:
            self._attempt.release()


def _is_connected() -> bool:
    return connection.connection is not None and connection.is_usable()


outage = Outage()
