"""The threads that accompany a web process, one for each of settings.WEB_COMPANIONS.

Each calls its job every few seconds, and holds no connection to the database in between."""

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.utils.module_loading import import_string

from polaris.database import in_one_line

logger = logging.getLogger(__name__)

SECONDS = 5.0


def start() -> None:
    """From now on until the process ends."""
    for path in settings.WEB_COMPANIONS:
        threading.Thread(target=_keep_on, args=(path,), name=path, daemon=True).start()


def _keep_on(path: str) -> None:
    job, was_well = import_string(path), True
    while True:
        was_well = _once(path, job, was_well=was_well)
        time.sleep(SECONDS)


def _once(path: str, job: Callable[[], object], *, was_well: bool) -> bool:
    """Says whether it went well. Of many failures in a row the first is told."""
    try:
        job()
    except Error as error:
        if was_well:
            logger.warning("%s: the database failed: %s", path, in_one_line(error))
        return False
    except Exception:
        logger.exception("%s failed", path)
        return False
    else:
        return True
    finally:
        connection.close()
