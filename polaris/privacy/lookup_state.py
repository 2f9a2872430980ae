"""Is the look-up key of this process the one that the rows are hashed under?"""

from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError
from django.db.models import QuerySet

from polaris.compiled import compiled_select
from polaris.database import one_statement
from polaris.privacy.keys import fingerprint, lookup_keys
from polaris.privacy.models import LookupState


class WrongLookupKey(Exception):
    """This process hashes numbers under another key than the rows': it must not dial."""


def own_key() -> str:
    """The name of the newest of LOOKUP_KEYS."""
    return fingerprint(lookup_keys()[0])


def current() -> LookupState | None:
    """What the rows are hashed under; None where nobody has hashed any yet."""
    return next(iter(_of_numbers()), None)


@compiled_select
def _of_numbers() -> QuerySet[LookupState]:
    return LookupState.objects.filter(pk=LookupState.NUMBERS)


def require_current() -> None:
    """Raises WrongLookupKey where a number may be hashed under two keys."""
    state = current()
    if state and (state.key != own_key() or state.moving_to):
        raise WrongLookupKey(
            "the numbers are hashed under another key than the first of LOOKUP_KEYS, or are being "
            "hashed anew: put the keys right, or run manage.py rotate_lookup_key"
        )


def adopt_quietly() -> None:
    """Where no key is the rows' key yet, this one becomes it."""
    if current() is None:
        with suppress(IntegrityError), one_statement():  # somebody else may come first
            LookupState.objects.create(key=own_key())


def adopt() -> None:
    """Be sure, before the first call, that this key is the rows' key; the first one to come
    becomes it. Raises ImproperlyConfigured."""
    adopt_quietly()
    try:
        require_current()
    except WrongLookupKey as error:
        raise ImproperlyConfigured(f"This process cannot dial: {error}.") from error
