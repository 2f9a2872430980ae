"""Brings every stored value under the newest key, while others read and write.

Small batches, each committed by itself. A value is replaced only where the column still holds the
very text that was read, so no writer's change is lost, and whoever is stopped goes on where he was.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Field, Model, QuerySet

from polaris.audit.recording import Act, record
from polaris.database import atomic
from polaris.errors import Unreadable
from polaris.privacy.fields import LookupField, Sealed, SealedField, stored_text
from polaris.privacy.sealing import lookup_of, newest_mark
from polaris.repeating import repeated

# Rows that are locked together, for some milliseconds.
AT_ONCE = 50


@dataclass(slots=True)
class Outcome:
    """What became of a walk through a column: how many were changed, and how many need a key that
    is missing."""

    changed: int = 0
    unreadable: int = 0

    def add(self, other: "Outcome") -> None:
        self.changed += other.changed
        self.unreadable += other.unreadable


def fields_of(kind: type[Field]) -> Iterator[tuple[type[Model], Any]]:
    """Every field of that kind in every model, with its model."""
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, kind):
                yield model, field


def behind(model: type[Model], name: str) -> QuerySet[Any]:
    """The rows whose `name` is not sealed with the newest key, or not at all."""
    rows = model._base_manager.exclude(**{name: ""})
    return rows.exclude(**{f"{name}__isnull": True}).exclude(
        **{f"{name}__startswith": newest_mark()}
    )


def how_many_are_behind() -> int:
    """Values that are not sealed with the newest key."""
    return sum(behind(model, field.attname).count() for model, field in fields_of(SealedField))


def reseal(
    model: type[Model], name: str, *, after_each: Callable[[Outcome], None] | None = None
) -> Outcome:
    """Seal a column's values with the newest key; what cannot be read is left as it is."""

    def move(key: str, kept: Any) -> Outcome:
        plain = kept.open() if isinstance(kept, Sealed) else kept
        rows = model._base_manager.filter(pk=key)
        if isinstance(kept, Sealed):
            rows = rows.filter(**{name: stored_text(kept.stored)})
        return Outcome(changed=rows.update(**{name: plain}))

    def tell(done: Outcome) -> None:
        if done.changed:
            column = {f"{model._meta.db_table}.{name}": (done.changed, 0)}
            record(Act("keys.rotate", "key", newest_mark(), changes=column))

    return _walk(behind(model, name), ("pk", name), move, after_each, within=tell)


def hash_again(
    model: type[Model], field: LookupField, *, after_each: Callable[[Outcome], None] | None = None
) -> Outcome:
    """Hash a model's numbers with the newest look-up key, where they are not yet."""

    def move(key: str, number: Any, kept: str) -> Outcome:
        found = lookup_of(number.open() if isinstance(number, Sealed) else number)
        if found == kept:
            return Outcome()
        rows = model._base_manager.filter(pk=key, **{field.attname: kept})
        return Outcome(changed=rows.update(**{field.attname: found}))

    numbered = model._base_manager.exclude(**{field.of: ""})
    return _walk(numbered, ("pk", field.of, field.attname), move, after_each)


def _walk(
    rows: QuerySet[Any],
    names: tuple[str, ...],
    move: Callable[..., Outcome],
    after_each: Callable[[Outcome], None] | None,
    within: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Row by row in the order of their keys, which is that of every other writer.

    `within` is told of each batch in its transaction, `after_each` when that is over."""
    total, last = Outcome(), ""
    while batch := list(rows.filter(pk__gt=last).order_by("pk").values_list(*names)[:AT_ONCE]):
        done = _move_batch(batch, move, within)
        total.add(done)
        last = batch[-1][0]
        if after_each:
            after_each(done)
    return total


@repeated
def _move_batch(
    batch: list[tuple[Any, ...]], move: Callable[..., Outcome], within: Callable[[Outcome], None]
) -> Outcome:
    done = Outcome()
    with atomic():
        for values in batch:
            done.add(_try(move, values))
        within(done)
    return done


def _try(move: Callable[..., Outcome], values: tuple[Any, ...]) -> Outcome:
    try:
        return move(*values)
    except Unreadable:
        return Outcome(unreadable=1)
