"""Counts by compare-and-set, so that any number of processes count as one.

A window is what one count lasts. Clocks of several machines may differ by what NTP leaves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from polaris.database import one_statement
from polaris.throttling.limits import Limit, Patience
from polaris.throttling.models import Tally

_TRIES = 60  # of which each is lost only to somebody who has counted meanwhile
_LOST = 1.0
_SHARES = 16  # a lease is so much of what is left: the last ones are taken one by one


# Seconds to wait; none of them means that one more may be counted.
_Verdict = Callable[[Tally, datetime], float]


def count(key: str, limit: Limit) -> float:
    """Count one of `key`. Returns 0, or the seconds to wait where it was not counted."""

    def verdict(tally: Tally, now: datetime) -> float:
        end = tally.began_at + timedelta(seconds=limit.seconds)
        return 0.0 if tally.number < limit.number else (end - now).total_seconds()

    return _count(key, limit.seconds, verdict)


def count_growing(key: str, patience: Patience) -> float:
    """Count one of `key`. Returns 0, or the seconds to wait where it was not counted."""

    def verdict(tally: Tally, now: datetime) -> float:
        waits = patience.wait_after(tally.number)
        return waits - (now - tally.last_at).total_seconds()

    return _count(key, patience.seconds, verdict)


def take_back(key: str) -> None:
    """Count one less of `key`."""
    Tally.objects.filter(pk=key, number__gt=0).update(number=F("number") - 1)


def forget(*keys: str) -> None:
    """Begin to count anew."""
    Tally.objects.filter(pk__in=keys).delete()


def lease(key: str, limit: Limit) -> tuple[int, float]:
    """Take a part of what this window still allows for `key`, and the seconds until it ends.

    Windows are those of the calendar, so that all processes mean the same one."""
    now = timezone.now()
    window = _window(now, limit)
    part = _part(limit.number)
    if _begin(key, window, part, now, limit):
        return part, _until_the_end(window, now, limit)
    for _ in range(_TRIES):
        known = Tally.objects.filter(pk=key).first()
        # A machine whose clock is ahead of ours may have begun the next window already.
        span = timedelta(seconds=limit.seconds)
        is_current = known is not None and window <= known.began_at <= window + span
        window = known.began_at if known is not None and is_current else window
        taken = known.number if known is not None and is_current else 0
        part = _part(limit.number - taken)
        if not part or _write(key, known, window, taken + part, now, window + span):
            return part, _until_the_end(window, now, limit)
    return 0, _LOST


def prune() -> None:
    """Forget what says nothing any more."""
    Tally.objects.filter(expires_at__lt=timezone.now()).delete()


def _count(key: str, seconds: int, verdict: _Verdict) -> float:
    for _ in range(_TRIES):
        now = timezone.now()
        span = timedelta(seconds=seconds)
        known = Tally.objects.filter(pk=key).first()
        # Another machine's clock may be ahead of ours.
        is_current = known is not None and abs(now - known.began_at) < span
        wait = verdict(known, now) if known is not None and is_current else 0.0
        if wait > 0:
            return wait
        began = known.began_at if known is not None and is_current else now
        number = known.number + 1 if known is not None and is_current else 1
        if _write(key, known, began, number, now, began + span):
            return 0.0
    return _LOST


def _write(
    key: str, known: Tally | None, began: datetime, number: int, now: datetime, end: datetime
) -> bool:
    """Whether nobody else has counted since `known` was read."""
    values = {"began_at": began, "number": number, "last_at": now, "expires_at": end}
    try:
        with one_statement():
            if known is None:
                return bool(Tally.objects.create(pk=key, **values))
            same = Tally.objects.filter(pk=key, began_at=known.began_at, number=known.number)
            return bool(same.filter(last_at=known.last_at).update(**values))
    except IntegrityError:
        return False


def _begin(key: str, window: datetime, part: int, now: datetime, limit: Limit) -> bool:
    """Whether we are the first in this window, as whoever writes now and then is: one query."""
    end = window + timedelta(seconds=limit.seconds)
    with one_statement():
        earlier = Tally.objects.filter(pk=key, began_at__lt=window)
        return bool(earlier.update(began_at=window, number=part, last_at=now, expires_at=end))


def _part(left: int) -> int:
    return min(max(0, left), max(1, left // _SHARES))


def _until_the_end(window: datetime, now: datetime, limit: Limit) -> float:
    return (window - now).total_seconds() + limit.seconds


def _window(now: datetime, limit: Limit) -> datetime:
    since = int(now.timestamp()) // limit.seconds * limit.seconds
    return datetime.fromtimestamp(since, UTC)
