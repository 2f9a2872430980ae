"""The outbox: a message is a row, written with the change it tells of and kept until delivered.

Who delivers a message claims it first: its `next_attempt_at` moves ahead by a lease, by
compare-and-set, so that one runner alone has it, and another takes over should that one die. A
message is delivered at least once: a runner that dies between the receiver's yes and our own note
of it leaves a message that is delivered again, under the same event id.
"""

import logging
import time
import traceback
from collections.abc import Collection
from datetime import timedelta
from fnmatch import fnmatchcase

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from polaris.audit.recording import Act, record
from polaris.database import atomic, renew_connection
from polaris.events import Event, on
from polaris.moments import whole_milliseconds
from polaris.repeating import repeated
from polaris.states import move
from tracking.models import Notification
from tracking.notifications.channels import Channel, DeliveryFailed, configured_channels
from tracking.notifications.retries import wait_after

logger = logging.getLogger(__name__)

Status = Notification.Status

# Longer than the slowest delivery: no live runner loses a message that it is delivering.
LEASE = timedelta(minutes=5)
# What a channel may take of one call: so many messages, so many seconds, or one failure.
BATCH = 100
TURN_SECONDS = 5.0
# A message waits so long for a channel that nobody has configured (any more).
UNCLAIMED = timedelta(days=1)


def _is_wanted(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in settings.NOTIFY_EVENTS)


@on("*", in_transaction=True, wants=_is_wanted)
def write_down(event: Event) -> None:
    """Put a message for each configured channel into the publisher's transaction.

    What fails here is logged: a message is never worth the call that it would tell of."""
    try:
        _write(event, configured_channels())
    except Exception:
        logger.exception("no message could be written of %s (%s)", event.name, event.id)


def deliver_due() -> int:
    """Deliver what is due, each channel in its turn; says how many messages were delivered.

    Any number of processes may call it at once. Call it outside of any transaction."""
    renew_connection()
    try:
        channels = configured_channels()
        _give_up_unclaimed({channel.name for channel in channels})
        return sum(_take_turn(channel) for channel in channels)
    finally:
        renew_connection()


@repeated
def resend(notifications: QuerySet[Notification]) -> int:
    """Let those that have failed wait again, with every attempt before them; says how many."""
    failed = notifications.filter(status=Status.FAILED)
    with atomic():
        keys = list(failed.select_for_update().values_list("pk", flat=True))
        changed = {"status": (str(Status.FAILED), str(Status.WAITING))}
        record(*(Act("notification.resend", "notification", key, changes=changed) for key in keys))
        return move(
            Notification.objects.filter(pk__in=keys),
            to=Status.WAITING,
            sources={Status.FAILED},
            attempts=0,
            next_attempt_at=timezone.now(),
            last_error="",
        )


def _write(event: Event, channels: Collection[Channel]) -> None:
    if not channels:
        return
    # A savepoint: an error in here must not spoil the publisher's transaction.
    with atomic():
        Notification.objects.bulk_create(
            Notification(
                event_id=event.id,
                event=event.name,
                channel=channel.name,
                payload=dict(event.data),
                created_at=event.happened_at,
            )
            for channel in channels
        )


def _take_turn(channel: Channel) -> int:
    """One failure ends a turn: a receiver in trouble is spared, and the others do not wait."""
    ends = time.monotonic() + TURN_SECONDS
    delivered = 0
    due = _due().filter(channel=channel.name).order_by("next_attempt_at", "id")
    for notification in due[:BATCH]:
        if not _claim(notification):
            continue
        if not _deliver(channel, notification):
            break
        delivered += 1
        if time.monotonic() >= ends:
            break
    return delivered


def _due() -> QuerySet[Notification]:
    return Notification.objects.filter(status=Status.WAITING, next_attempt_at__lte=timezone.now())


def _claim(notification: Notification) -> bool:
    """Lease a message, unless another runner has touched it since we read it."""
    lease = whole_milliseconds(timezone.now() + LEASE)
    untouched = Notification.objects.filter(
        pk=notification.pk, next_attempt_at=notification.next_attempt_at
    )
    claimed = move(
        untouched,
        to=Status.WAITING,
        sources={Status.WAITING},
        next_attempt_at=lease,
        attempts=F("attempts") + 1,
    )
    notification.next_attempt_at = lease
    notification.attempts += 1
    return bool(claimed)


def _deliver(channel: Channel, notification: Notification) -> bool:
    try:
        channel.deliver(notification)
    except DeliveryFailed as failure:
        _record_failure(notification, failure)
        return False
    except Exception as error:
        _log_breakdown(channel, error)
        breakdown = f"The channel broke down ({type(error).__name__}); the log says where."
        _record_failure(notification, DeliveryFailed(breakdown))
        return False
    _record_sent(notification)
    return True


def _record_sent(notification: Notification) -> None:
    """What has arrived has arrived, even where the lease ran out meanwhile."""
    move(
        Notification.objects.filter(pk=notification.pk),
        to=Status.SENT,
        sources={Status.WAITING, Status.FAILED},
        next_attempt_at=None,
        last_error="",
        sent_at=timezone.now(),
    )
    logger.info("%s is delivered: %s", notification.pk, notification)


def _record_failure(notification: Notification, failure: DeliveryFailed) -> None:
    """Plan the next attempt, or give up; whoever took over after our lease decides instead."""
    held = Notification.objects.filter(
        pk=notification.pk, next_attempt_at=notification.next_attempt_at
    )
    wait = wait_after(notification.attempts, asked_for=failure.retry_after)
    if wait is None or failure.permanent:
        _give_up(held, failure.reason)
        logger.error("%s is given up: %s: %s", notification.pk, notification, failure.reason)
        return
    move(
        held,
        to=Status.WAITING,
        sources={Status.WAITING},
        next_attempt_at=timezone.now() + wait,
        last_error=failure.reason,
    )
    logger.warning("%s has to wait: %s: %s", notification.pk, notification, failure.reason)


def _give_up_unclaimed(names: Collection[str]) -> None:
    """Close messages of channels that were switched off, so that none goes out weeks late."""
    overdue = Notification.objects.filter(
        status=Status.WAITING, next_attempt_at__lte=timezone.now() - UNCLAIMED
    )
    unclaimed = list(overdue.exclude(channel__in=names).values_list("pk", flat=True)[:BATCH])
    if unclaimed:
        rows = Notification.objects.filter(pk__in=unclaimed)
        _give_up(rows, "Its channel is not configured.")
        logger.error("%d messages are given up: their channel is not configured", len(unclaimed))


def _give_up(rows: QuerySet[Notification], reason: str) -> None:
    move(rows, to=Status.FAILED, sources={Status.WAITING}, next_attempt_at=None, last_error=reason)


def _log_breakdown(channel: Channel, error: Exception) -> None:
    """Say where it broke, not with what: an error's own text may hold an address or a secret."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("the channel %r broke down (%s)\n%s", channel.name, type(error).__name__, where)
