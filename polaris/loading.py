"""Makes rows of values that a column's field has them already.

A model's constructor looks at each field and tells signals of it, which takes longer than to read
the row (docs/decisions/0024). A row is its attributes and its state, as Django's own unpickling
takes it: here both are given to it."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models.base import ModelState

Row = TypeVar("Row", bound=models.Model)


def loaded(model: type[Row], names: Iterable[str], values: Iterable[Any]) -> Row:
    """A row that the database holds, as `model.from_db` makes it: `names` are those of attributes.
    What is not among them is read when it is asked for."""
    row = new(model, names, values)
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    return row


def new(model: type[Row], names: Iterable[str], values: Iterable[Any]) -> Row:
    """A row that the database does not hold yet, of values for all of its attributes."""
    row = model.__new__(model)
    row._state = ModelState()
    row.__dict__.update(zip(names, values, strict=True))
    return row
