"""A transaction of inserts alone, which the database can take as one statement.

On PostgreSQL such a statement is a transaction by itself: one way there and back, where BEGIN, the
inserts and COMMIT are five commands (docs/decisions/0023 has the figures). While inserts are only
gathered nothing has begun; whatever else is asked of the database within begins it for real."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connection, transaction


class _OfThisThread(threading.local):
    gathering: "Gathering | None" = None


_of_this_thread = _OfThisThread()


class Gathering:
    """What a transaction that has not begun is to insert, and to do once that is committed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._inserts: list[tuple[str, Sequence[Any]]] = []
        self._callbacks: list[Callable[[], object]] = []

    def add(self, statement: str, values: Sequence[Any]) -> None:
        """Insert this, too."""
        self._inserts.append((statement, values))

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Run `callback` once all is committed."""
        self._callbacks.append(callback)

    def begin(self) -> None:
        """Begin for real: write what has been gathered; what follows is part of it."""
        _of_this_thread.gathering = None
        self._stack.enter_context(transaction.atomic())
        for statement, values in self._inserts:
            execute(statement, values)
        for callback in self._callbacks:
            transaction.on_commit(callback)

    def send(self) -> None:
        """Write all that has been gathered, in one statement. Raises IntegrityError."""
        if self._inserts:
            *others, last = (statement for statement, _ in self._inserts)
            named = ", ".join(f"w{turn} AS ({each})" for turn, each in enumerate(others))
            values = [value for _, values in self._inserts for value in values]
            execute(f"WITH {named} {last}" if others else last, values)
        for callback in self._callbacks:
            callback()

    def before(self, go_on: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Stands before each statement that is no gathered insert. Raises RuntimeError within a
        transaction that did not know of this one."""
        if _of_this_thread.gathering is self:
            if connection.in_atomic_block:
                raise RuntimeError("begin it with polaris.database.atomic, not with Django's")
            self.begin()
        return go_on(sql, params, many, context)


def gathering() -> Gathering | None:
    """The transaction of this thread that has not begun, if there is one."""
    return _of_this_thread.gathering


@contextmanager
def gathered() -> Iterator[None]:
    """Gathers inserts until the block ends, and sends them then. Stands in no transaction."""
    with ExitStack() as stack:
        mine = _of_this_thread.gathering = Gathering(stack)
        try:
            with connection.execute_wrapper(mine.before):
                yield
            is_to_be_sent = _of_this_thread.gathering is mine
        finally:
            _of_this_thread.gathering = None
        if is_to_be_sent:
            mine.send()


def execute(statement: str, values: Sequence[Any]) -> None:
    """Insert at once, or together with what else is gathered: by an INSERT that tells nothing."""
    if unbegun := gathering():
        unbegun.add(statement, values)
        return
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
