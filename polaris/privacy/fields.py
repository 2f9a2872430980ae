"""Model fields whose column holds a sealed text, while Python sees the plain one.

A row that is read brings the sealed text; it is opened when the attribute is first looked at, so a
list opens nothing that it does not show, and a row whose key is missing harms no other. Copied from
row to row with `sealed_value`, it is not even sealed anew.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.models import Value
from django.db.models.lookups import Exact, IsNull, StartsWith
from django.db.models.query_utils import DeferredAttribute

from polaris.privacy.sealing import lookup_of, lookups_of, seal, unseal

_UNOPENED: Any = object()
_as_stored: ContextVar[bool] = ContextVar("as_stored", default=False)


class Sealed:
    """A value as its column holds it; opened once, when it is asked for."""

    __slots__ = ("_load", "_opened", "stored")

    def __init__(self, stored: str, load: Callable[[str], Any] = str) -> None:
        self.stored = stored
        self._load = load
        self._opened = _UNOPENED

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.stored == self.stored

    def __hash__(self) -> int:
        return hash(self.stored)

    def __repr__(self) -> str:
        return "<sealed>"

    @property
    def is_open(self) -> bool:
        """Whether it has been opened already."""
        return self._opened is not _UNOPENED

    def open(self) -> Any:
        """The plain value. Raises Unreadable."""
        if self._opened is _UNOPENED:
            self._opened = self._load(unseal(self.stored))
        return self._opened


def sealed_value(row: models.Model, name: str) -> Any:
    """A row's field as it is, sealed or plain: for another row, without opening it."""
    return row.__dict__[name]


def stored_text(text: str) -> Value:
    """A column's very text, for a comparison with what was read or to write it back."""
    return Value(text, output_field=models.TextField())


class _Opening(DeferredAttribute):
    """Opens a field's value when it is looked at."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        name = self.field.attname
        value = instance.__dict__.get(name, _UNOPENED)
        if value is _UNOPENED:
            super().__get__(instance, cls)  # it was deferred: this reads it
            value = instance.__dict__[name]
        if not isinstance(value, Sealed) or _as_stored.get():
            return value
        opened = value.open()
        if not isinstance(opened, str):
            instance.__dict__[name] = opened  # it may be changed in place
        return opened

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class SealedModel(models.Model):
    """A model with sealed fields: reading a row again opens nothing."""

    class Meta:
        abstract = True

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """As Django's, which reads every field of the new row in order to copy it."""
        with _unopened():
            super().refresh_from_db(*args, **kwargs)


@contextmanager
def _unopened() -> Iterator[None]:
    token = _as_stored.set(True)
    try:
        yield
    finally:
        _as_stored.reset(token)


class SealedField(models.Field):
    """What the sealed fields share. The column is text on every database."""

    descriptor_class = _Opening

    def get_internal_type(self) -> str:
        return "TextField"

    def from_db_value(self, value: Any, *_: Any) -> Any:
        """`values()` and `values_list()` give it as it is, too: open it there by hand."""
        return Sealed(value, self.load) if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return sealed_value(model_instance, self.attname)

    def get_prep_value(self, value: Any) -> Any:
        return value

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value.stored if isinstance(value, Sealed) else value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        return value.stored if isinstance(value, Sealed) else seal(self.dump(value))

    def get_lookup(self, lookup_name: str) -> Any:
        """Blank or not, and what the stored text begins with; nothing else can be asked."""
        if lookup_name not in _LOOKUPS:
            raise FieldError(_NOT_COMPARED)
        return _LOOKUPS[lookup_name]

    def dump(self, value: Any) -> str:
        """A value as text, before it is sealed."""
        return str(value)

    def load(self, text: str) -> Any:
        """The value of a text that was sealed."""
        return text


class _OnlyBlank(Exact):
    """Two sealed texts of one number differ: equality finds nothing, so it is not offered."""

    def get_prep_lookup(self) -> Any:
        if isinstance(self.rhs, str) and self.rhs:
            raise FieldError(_NOT_COMPARED)
        return super().get_prep_lookup()


_NOT_COMPARED = "A sealed field cannot be compared: a number is looked up by its hash."
_LOOKUPS: dict[str, Any] = {"exact": _OnlyBlank, "isnull": IsNull, "startswith": StartsWith}


class SealedCharField(SealedField, models.CharField):
    """A short text; `max_length` is that of the plain one."""


class SealedTextField(SealedField, models.TextField):
    """A text."""


class SealedJSONField(SealedField):
    """A JSON value; in it nothing can be searched."""

    def dump(self, value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    def load(self, text: str) -> Any:
        return json.loads(text)


class LookupField(models.CharField):
    """What the number in the field `of` is found by; kept in step with it wherever rows are saved
    whole. `NumberQuerySet` keeps it in step where they are updated."""

    def __init__(self, *args: Any, of: str = "phone", **kwargs: Any) -> None:
        self.of = of
        named: dict[str, Any] = {
            "max_length": 64,
            "blank": True,
            "default": "",
            "editable": False,
        }
        super().__init__(*args, **(named | kwargs))

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, kwargs | {"of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        number = model_instance.__dict__.get(self.of)
        kept: str = getattr(model_instance, self.attname)
        if kept and (number is None or (isinstance(number, Sealed) and not number.is_open)):
            return kept
        found = lookup_of(number.open() if isinstance(number, Sealed) else number or "")
        setattr(model_instance, self.attname, found)
        return found


class NumberQuerySet(models.QuerySet[Any]):
    """Rows with a sealed `phone` and its `phone_lookup`."""

    def of_number(self, number: str) -> Any:
        """The rows of a number in E.164."""
        return self.filter(phone_lookup__in=lookups_of(number))

    def update(self, **changes: Any) -> int:
        """As Django's; a new number brings its look-up with it."""
        if isinstance(changes.get("phone"), str):
            changes["phone_lookup"] = lookup_of(changes["phone"])
        return super().update(**changes)

    update.alters_data = True  # type: ignore[attr-defined]
