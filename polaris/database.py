"""The one `atomic` and `on_commit` that everybody uses, real on every database we serve.

Under MongoDB Django's own `transaction.atomic` does nothing and its `on_commit` fires even when
the block fails, so the back end's own pair takes their place there.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from django.db import close_old_connections, connection, transaction


def is_mongodb() -> bool:
    """Whether the default database is MongoDB."""
    return connection.vendor == "mongodb"


def can_skip_locked() -> bool:
    """Whether rows can be locked while those that others hold are passed over."""
    return connection.features.has_select_for_update_skip_locked


def atomic() -> AbstractContextManager[None]:
    """A transaction, or a savepoint inside one."""
    if is_mongodb():
        from django_mongodb_backend import transaction as mongodb  # noqa: PLC0415 (optional)

        return mongodb.atomic()
    return transaction.atomic()


def on_commit(callback: Callable[[], object]) -> None:
    """Run `callback` once the transaction in hand is committed; at once where there is none."""
    if is_mongodb():
        from django_mongodb_backend import transaction as mongodb  # noqa: PLC0415 (optional)

        mongodb.on_commit(callback)
        return
    transaction.on_commit(callback)


def renew_connection() -> None:
    """Drop this thread's connection where it is broken or too old; one in a transaction is kept.

    For threads that outlive their connection: Django does this for requests only."""
    if not connection.in_atomic_block:
        close_old_connections()
