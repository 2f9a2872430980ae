"""The inbox: a signed webhook is kept together with what it moves, once.

Where that fails it is kept by itself, and acted upon afterwards."""

import hashlib
import logging

from django.db import IntegrityError
from django.db.models import F
from django.http import QueryDict
from django.utils import timezone

from polaris.audit.acting import CARRIER, acting
from polaris.database import atomic, is_away, one_statement
from polaris.inserting import insert
from polaris.repeating import repeated
from tracking.reports import Verdict, apply_report
from webhooks.models import WebhookEvent
from webhooks.translation import (
    read_call_id,
    read_status,
    refuse_ambiguous,
    refuse_null_characters,
    refuse_stale,
    to_report,
)

logger = logging.getLogger(__name__)

Outcome = WebhookEvent.Outcome
_OUTCOMES = {
    Verdict.APPLIED: Outcome.APPLIED,
    Verdict.LATE: Outcome.LATE,
    Verdict.CREATED: Outcome.CREATED,
    Verdict.CONFLICT: Outcome.CONFLICT,
}


def receive(fields: QueryDict, *, attempt_id: str) -> None:
    """Keep a signed webhook and move its call. A repeated one changes nothing.

    One that was kept but not finished, because we failed, is taken up again when Twilio repeats
    it, or by housekeeping. Raises WebhookUnusable, WebhookStale."""
    refuse_null_characters(fields, attempt_id=attempt_id)
    refuse_ambiguous(fields)
    refuse_stale(fields)
    event = _event_of(fields, attempt_id)
    if not _is_taken(event, fields):
        kept = _keep(_event_of(fields, attempt_id))
        if kept.processed_at is None:
            act_upon(kept, fields)


def act_upon(event: WebhookEvent, fields: QueryDict) -> None:
    """Move the call that a kept webhook, with these fields, speaks of."""
    try:
        _process(event, fields)
    except IntegrityError:
        # A call that is not ours: another of its webhooks has just made its log.
        _process(event, fields)


def _is_taken(event: WebhookEvent, fields: QueryDict) -> bool:
    """Whether a webhook is committed with all that it moves; if not, nothing of it has happened."""
    try:
        _take(event, fields)
    except IntegrityError:
        return False  # it came before, or another of a call that is not ours has made its log
    except Exception as error:
        if is_away(error):
            raise
        logger.warning("%s cannot be acted upon at once: %s", event.pk, type(error).__name__)
        return False
    return True


@repeated
def _take(event: WebhookEvent, fields: QueryDict) -> None:
    with acting(CARRIER), atomic():
        outcome = _apply(event, fields)
        event.outcome, event.processed_at = outcome, timezone.now()
        # Last: of two deliveries at once the second has waited at the log, and is undone here.
        insert(event)
    _report_conflict(event, outcome)


@repeated
def _process(event: WebhookEvent, fields: QueryDict) -> None:
    with acting(CARRIER), atomic():
        outcome = _apply(event, fields)
        WebhookEvent.objects.filter(pk=event.pk, processed_at=None).update(
            outcome=outcome, processed_at=timezone.now()
        )
    _report_conflict(event, outcome)


def _apply(event: WebhookEvent, fields: QueryDict) -> WebhookEvent.Outcome:
    report = to_report(fields, attempt_id=event.attempt_id)
    return _OUTCOMES[apply_report(report)] if report else Outcome.IGNORED


def _report_conflict(event: WebhookEvent, outcome: WebhookEvent.Outcome) -> None:
    if outcome is Outcome.CONFLICT:
        logger.error("%s claims %s, which another call holds", event.call_id, event.attempt_id)


def _event_of(fields: QueryDict, attempt_id: str) -> WebhookEvent:
    """Not written yet. Raises WebhookUnusable."""
    return WebhookEvent(
        fingerprint=_fingerprint(fields),
        call_id=read_call_id(fields),
        attempt_id=attempt_id[:40],
        call_status=read_status(fields),
        payload=fields.dict(),
    )


def _keep(event: WebhookEvent) -> WebhookEvent:
    """Write it by itself; the one that is there already where it is a repeated one."""
    try:
        with one_statement():
            insert(event)
    except IntegrityError:
        known = WebhookEvent.objects.filter(fingerprint=event.fingerprint)
        known.update(deliveries=F("deliveries") + 1)
        return known.get()
    return event


def _fingerprint(fields: QueryDict) -> str:
    names = ("CallSid", "CallStatus", "SequenceNumber", "CallbackSource")
    said = "\n".join(fields.get(name, "") for name in names)
    return hashlib.sha256(said.encode()).hexdigest()
