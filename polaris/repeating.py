"""Repeats a unit of work that the database has undone because another writer was in its way.

PostgreSQL ends one of two transactions that wait for each other; MongoDB, which lets nobody wait,
the later of two that write the same row. Nothing of such a unit has happened and no `on_commit` was
called, so it is done anew from its beginning: what it had read is read again."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

from django.db import DatabaseError
from django.db.models import Model

from polaris.database import in_one_line, in_transaction, is_conflict

logger = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")

# Seconds between the tries, together half a second or so; each is taken somewhat shorter or longer,
# lest two who were in each other's way meet again.
_WAITS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.3)


def repeated(unit: Callable[Given, Result]) -> Callable[Given, Result]:
    """Do `unit`, one transaction and what goes with it, anew where the database has undone it.

    Inside another transaction it is a part of that one, whose unit is repeated. The rows that it
    was given are put back as they were. After the last try the database's error is raised."""

    @wraps(unit)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        if in_transaction():
            return unit(*args, **kwargs)
        as_given = [_Kept(row) for row in _rows([*args, *kwargs.values()])]
        for wait in _WAITS:
            try:
                return unit(*args, **kwargs)
            except DatabaseError as error:
                if not is_conflict(error):
                    raise
                logger.info("%s is done anew: %s", unit.__qualname__, in_one_line(error))
            for row in as_given:
                row.put_back()
            time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 (no secret)
        return unit(*args, **kwargs)

    return run


class _Kept:
    """A row as it was before the first try."""

    def __init__(self, row: Model) -> None:
        self._row, self._values = row, dict(vars(row))
        self._state = dict(vars(row._state))
        self._related = dict(row._state.fields_cache)

    def put_back(self) -> None:
        values, state = vars(self._row), vars(self._row._state)
        values.clear()
        values.update(self._values)
        state.clear()
        state.update(self._state, fields_cache=dict(self._related))


def _rows(given: Iterable[Any]) -> Iterator[Model]:
    """Those among the arguments, in lists of them, and in our frozen values."""
    for each in given:
        if isinstance(each, Model):
            yield each
        elif isinstance(each, (list, tuple)):
            yield from _rows(each)
        elif parts := _parts(type(each)):  # type: ignore[arg-type]
            yield from _rows([getattr(each, part) for part in parts])


@lru_cache(maxsize=1000)
def _parts(kind: type) -> tuple[str, ...]:
    return tuple(part.name for part in fields(kind)) if is_dataclass(kind) else ()
