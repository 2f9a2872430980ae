"""Refuses a MongoDB server that cannot do what is needed, when it is first reached.

It must be of a version that the back end speaks to, and have transactions, which one that stands
alone has not. Loaded only where MongoDB is the database."""

import logging
from typing import Any
from weakref import WeakSet

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django_mongodb_backend.base import DatabaseWrapper
from django_mongodb_backend.features import DatabaseFeatures
from dns.exception import DNSException
from pymongo.errors import ConfigurationError, ConnectionFailure, PyMongoError

from polaris.database import in_one_line
from polaris.mongodb import NOT_TAKEN

logger = logging.getLogger(__name__)

_OLDEST: tuple[int, ...] = DatabaseFeatures.minimum_database_version
_ALONE = (
    "The MongoDB server stands alone, so it has no transactions: make it a replica set (one member "
    "is enough), or name a cluster in MONGODB_URL."
)
_fit: WeakSet[Any] = WeakSet()  # clients of the driver: the threads of a process share one


def judge_versions() -> None:
    """From now on versions are judged here: after Django's own refusal, the back end would go on
    with the connection that was made."""
    DatabaseFeatures.minimum_database_version = None


def put_refusals_in_words() -> None:
    """What the driver says of MONGODB_URL when it is first used, by whatever process.

    Its own words may hold a part of the address, and so of the password."""
    connect = DatabaseWrapper.get_new_connection

    def get_new_connection(database: Any, params: Any) -> Any:
        try:
            return connect(database, params)
        except (ConfigurationError, ValueError, OSError) as error:
            if isinstance(error.__cause__, DNSException):  # of mongodb+srv://
                raise OperationalError(in_one_line(error)) from error
            raise ImproperlyConfigured(NOT_TAKEN) from error

    DatabaseWrapper.get_new_connection = get_new_connection


def refuse_unfit() -> None:
    """Look at the server now, before anything depends on it. Raises ImproperlyConfigured.

    One that is away is looked at when it is first reached; one that has been is not asked again."""
    try:
        connection.ensure_connection()
    except OperationalError as error:
        logger.warning("the database is away, so nobody has looked at it: %s", error)


def look_at(*, connection: Any, **_: Any) -> None:
    """Of a connection that has just been made, before it is used.

    Raises ImproperlyConfigured, or OperationalError where the server is away: the back end would
    let the driver's own error through."""
    if connection.vendor != "mongodb" or connection.connection in _fit:
        return
    try:
        _judge(connection.connection)
    except PyMongoError as error:
        _forget(connection)
        if isinstance(error, ConnectionFailure):
            raise OperationalError(in_one_line(error)) from error
        raise ImproperlyConfigured(f"The MongoDB server refuses us: {_reason(error)}") from error
    except ImproperlyConfigured:
        _forget(connection)
        raise
    _fit.add(connection.connection)


def _forget(connection: Any) -> None:
    """It is looked at again before anybody uses it."""
    connection.connection = None
    vars(connection).pop("database", None)


def _judge(client: Any) -> None:
    version = client.server_info()["versionArray"][:2]
    if tuple(version) < _OLDEST:
        raise ImproperlyConfigured(
            f"MongoDB {_shown(_OLDEST)} or later is needed, and the server is {_shown(version)}."
        )
    said = client.admin.command("hello")
    if not ("setName" in said or said.get("msg") == "isdbgrid"):
        raise ImproperlyConfigured(_ALONE)


def _shown(version: Any) -> str:
    return ".".join(map(str, version))


def _reason(error: PyMongoError) -> str:
    """Without the answer as it came over the wire, which the driver appends."""
    details = getattr(error, "details", None) or {}
    return details.get("errmsg") or in_one_line(error)
