"""Signing in with a name and a password, at the admin's door and the API's: who guesses waits.

Every attempt is counted before the password is looked at, so that guesses sent at once do not
slip through. docs/decisions/0013 weighs whom this could lock out."""

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from polaris.access import network_of
from polaris.accounts.models import SignIn
from polaris.errors import MustWait
from polaris.throttling import counting
from polaris.throttling.limits import Limit, Patience

# One address at one name, one address at any names, any addresses at one name.
_PAIR = {
    SignIn.Door.ADMIN: Patience(free=5, longest=900),
    SignIn.Door.API: Patience(free=30, longest=900),
}
_ADDRESS = {
    SignIn.Door.ADMIN: Patience(free=20, longest=900),
    SignIn.Door.API: Patience(free=60, longest=900),
}
_NAME = {
    SignIn.Door.ADMIN: Patience(free=20, longest=60),
    SignIn.Door.API: Patience(free=60, longest=60),
}
_NAMES_SHARE = 3  # what a name takes from all addresses together, in those of THROTTLE_LOGIN
_REFUSALS_TOLD = Limit(1, 60)  # of an address
_KNOWN_FOR = timedelta(days=30)
_KEPT = timedelta(days=30)
_MOST_FAILURES = 20_000
_AT_ONCE = 500
_BEGINNING = 2  # characters of a name that no account has


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody who may try a password now. Counts as failed until it is said to have succeeded."""

    username: str
    address: str
    door: str

    def succeeded(self) -> None:
        """Write it down, and let name and address begin anew."""
        counting.forget(self.pair_key, self.name_key)
        counting.take_back(self.address_key)
        _write_down(self, SignIn.Outcome.SIGNED_IN)

    def failed(self) -> None:
        """Write it down."""
        _write_down(self, SignIn.Outcome.REFUSED)

    @property
    def pair_key(self) -> str:
        return f"guess/pair/{_short(self.username)}/{_short(self.address)}"

    @property
    def name_key(self) -> str:
        return f"guess/name/{_short(self.username)}"

    @property
    def address_key(self) -> str:
        return f"guess/address/{self.address}"


def begin(request: Any, *, username: str, door: str) -> Attempt:
    """Raises MustWait where this name or this address has tried too often."""
    attempt = Attempt(username, network_of(request), door)
    wait = _wait(attempt)
    if wait > 0:
        if not counting.count(f"told/{attempt.address}", _REFUSALS_TOLD):
            _write_down(attempt, SignIn.Outcome.MADE_TO_WAIT)
        raise MustWait(wait)
    return attempt


def prune() -> None:
    """Forget attempts of a month ago, and failed ones beyond so many."""
    SignIn.objects.filter(at__lt=timezone.now() - _KEPT).delete()
    failures = SignIn.objects.exclude(outcome=SignIn.Outcome.SIGNED_IN).order_by("-at", "-id")
    while keys := list(failures.values_list("pk", flat=True)[_MOST_FAILURES:][:_AT_ONCE]):
        SignIn.objects.filter(pk__in=keys).delete()


def _wait(attempt: Attempt) -> float:
    """Seconds; 0 where it was counted everywhere. The first that says no is the last asked."""
    limit: Limit | None = settings.THROTTLE_LOGIN
    door = SignIn.Door(attempt.door)
    if limit is None:
        return 0.0
    wait = (
        counting.count(f"login/address/{attempt.address}", limit)
        or counting.count_growing(attempt.pair_key, _PAIR[door])
        or counting.count_growing(attempt.address_key, _ADDRESS[door])
    )
    if wait or _is_known(attempt):
        return wait
    of_all = Limit(limit.number * _NAMES_SHARE, limit.seconds)
    return counting.count(
        f"login/name/{_short(attempt.username)}", of_all
    ) or counting.count_growing(attempt.name_key, _NAME[door])


def _is_known(attempt: Attempt) -> bool:
    """Whether this name has signed in from this address lately: others do not hold it up there."""
    return SignIn.objects.filter(
        username=_shown(attempt.username),
        address=attempt.address,
        outcome=SignIn.Outcome.SIGNED_IN,
        at__gt=timezone.now() - _KNOWN_FOR,
    ).exists()


def _write_down(attempt: Attempt, outcome: str) -> None:
    SignIn.objects.create(
        username=_told(attempt.username),
        address=attempt.address,
        door=attempt.door,
        outcome=outcome,
    )


def _told(username: str) -> str:
    """An account's name. Of any other text its beginning: people type passwords into that field."""
    name = _shown(username)
    if get_user_model()._default_manager.filter(username=name).exists():
        return name
    return f"{name[:_BEGINNING]}…"


def _shown(username: str) -> str:
    """What a database can keep of a name that somebody has typed."""
    text = username.replace("\x00", "").encode("utf-8", "replace").decode()
    return text[:150]


def _short(text: str) -> str:
    """For a key: names that look the same are the same, however long."""
    same = unicodedata.normalize("NFKC", text).casefold()
    return hashlib.sha256(same.encode("utf-8", "replace")).hexdigest()[:32]
