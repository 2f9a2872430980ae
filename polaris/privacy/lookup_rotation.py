"""Moves every number to a new look-up key.

Two live calls to one number could be opened while one is hashed under the old key and the other
under the new one. So nobody may dial meanwhile: the state of the look-ups says that they are being
moved, every opening of a ledger reads it first, and the move is over only when all rows are.
"""

from collections.abc import Callable

from django.conf import settings
from django.utils.module_loading import import_string

from polaris.audit.recording import Act, record
from polaris.database import atomic
from polaris.privacy.fields import LookupField
from polaris.privacy.lookup_state import adopt_quietly, current, own_key
from polaris.privacy.models import LookupState
from polaris.privacy.resealing import Outcome, fields_of, hash_again
from polaris.repeating import repeated


class CannotRotate(Exception):
    """The look-up key cannot be rotated now, or not to the end."""


def rotate(*, after_each: Callable[[Outcome], None] | None = None) -> None:
    """Hash every number with the newest look-up key. Raises CannotRotate."""
    target = own_key()
    adopt_quietly()
    _require_nobody_dials()
    _begin(target)
    _require_nobody_dials()  # who has just started has seen the mark, or is seen here
    outcome = Outcome()
    for model, field in fields_of(LookupField):
        outcome.add(hash_again(model, field, after_each=after_each))
    if outcome.unreadable:
        raise CannotRotate(
            f"{outcome.unreadable:,} numbers cannot be read, for their key is not in "
            "ENCRYPTION_KEYS: put it back and run this again. Nothing is dialled until then."
        )
    LookupState.objects.filter(pk=LookupState.NUMBERS, moving_to=target).update(
        key=target, moving_to=""
    )


@repeated
def _begin(target: str) -> None:
    state = current()
    if state is None:
        return
    if state.moving_to not in {"", target}:
        raise CannotRotate(
            f"A rotation to the key {state.moving_to} has begun and not ended: end it first, with "
            "that key in front of LOOKUP_KEYS."
        )
    rows = LookupState.objects.filter(pk=LookupState.NUMBERS, moving_to=state.moving_to)
    with atomic():
        if not rows.update(moving_to=target):
            raise CannotRotate("Somebody else has just begun a rotation.")
        record(Act("keys.rotate_lookup", "key", target, changes={"key": (state.key, target)}))


def _require_nobody_dials() -> None:
    if import_string(settings.WHO_DIALS)():
        raise CannotRotate("A runner is alive: stop every runner first, then run this again.")
