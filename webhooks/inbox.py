"""The inbox: a signed webhook is kept first, then acted upon, once."""

import hashlib
import logging

from django.db import IntegrityError
from django.db.models import F
from django.http import QueryDict
from django.utils import timezone

from polaris.audit.acting import CARRIER, acting
from polaris.database import atomic, one_statement
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
    event = _keep(fields, attempt_id)
    if event.processed_at is None:
        act_upon(event, fields)


def act_upon(event: WebhookEvent, fields: QueryDict) -> None:
    """Move the call that a kept webhook, with these fields, speaks of."""
    try:
        _process(event, fields)
    except IntegrityError:
        # A call that is not ours: another of its webhooks has just made its log.
        _process(event, fields)


@repeated
def _process(event: WebhookEvent, fields: QueryDict) -> None:
    with acting(CARRIER), atomic():
        report = to_report(fields, attempt_id=event.attempt_id)
        outcome = _OUTCOMES[apply_report(report)] if report else Outcome.IGNORED
        WebhookEvent.objects.filter(pk=event.pk, processed_at=None).update(
            outcome=outcome, processed_at=timezone.now()
        )
    if outcome is Outcome.CONFLICT:
        logger.error("%s claims %s, which another call holds", event.call_id, event.attempt_id)


def _keep(fields: QueryDict, attempt_id: str) -> WebhookEvent:
    event = WebhookEvent(
        fingerprint=_fingerprint(fields),
        call_id=read_call_id(fields),
        attempt_id=attempt_id[:40],
        call_status=read_status(fields),
        payload=fields.dict(),
    )
    try:
        with one_statement():
            event.save(force_insert=True)
    except IntegrityError:
        known = WebhookEvent.objects.filter(fingerprint=event.fingerprint)
        known.update(deliveries=F("deliveries") + 1)
        return known.get()
    return event


def _fingerprint(fields: QueryDict) -> str:
    names = ("CallSid", "CallStatus", "SequenceNumber", "CallbackSource")
    said = "\n".join(fields.get(name, "") for name in names)
    return hashlib.sha256(said.encode()).hexdigest()
