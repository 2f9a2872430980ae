"""What migrations do to rows that were written in the clear."""

from typing import Any

from django.db.models import Model, QuerySet

from polaris.database import atomic
from polaris.privacy.fields import LookupField, Sealed, stored_text
from polaris.privacy.keys import fingerprint, lookup_keys
from polaris.privacy.resealing import AT_ONCE, hash_again, reseal


def seal_existing(apps: Any, model: type[Model], *names: str) -> None:
    """Seal the columns of those names, and hash the number where the model has one."""
    for name in names:
        reseal(model, name)
    lookups = [each for each in model._meta.local_fields if isinstance(each, LookupField)]
    if sum(hash_again(model, field).changed for field in lookups):
        key = fingerprint(lookup_keys()[0])
        apps.get_model("polaris", "LookupState").objects.get_or_create(
            pk="numbers", defaults={"key": key}
        )


def unseal_existing(model: type[Model], *names: str) -> None:
    """The way back: every value in the clear. Raises Unreadable where a key is missing."""
    for name in names:
        rows = model._base_manager.filter(**{f"{name}__startswith": "enc1."})
        while batch := list(rows.values_list("pk", name)[:AT_ONCE]):
            _unseal(rows.model._base_manager.all(), name, batch)


def _unseal(rows: QuerySet[Any], name: str, batch: list[tuple[str, Sealed]]) -> None:
    field = rows.model._meta.get_field(name)
    with atomic():
        for key, sealed in batch:
            rows.filter(pk=key).update(**{name: stored_text(field.dump(sealed.open()))})
