"""Twilio's status callback in our own words.

https://www.twilio.com/docs/voice/api/call-resource#statuscallback"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from django.http import QueryDict
from django.utils import timezone

from polaris.errors import WebhookStale, WebhookUnusable
from tracking.carriers.base import CallReport
from tracking.carriers.twilio_words import STATUSES

_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")
_SEQUENCE = re.compile(r"[0-9]{0,9}")
# Twilio repeats a webhook for seconds. Raw events must be kept for longer than this.
LONGEST_ON_ITS_WAY = timedelta(days=1)
_LONGEST_CALL = 7 * 24 * 3600


def refuse_null_characters(fields: QueryDict, *, attempt_id: str) -> None:
    """PostgreSQL keeps no text that holds one. Raises WebhookUnusable."""
    if "\0" in attempt_id:
        raise WebhookUnusable("attempt_id holds a null character.", field="attempt_id")
    for name, values in fields.lists():
        if "\0" in "".join((name, *values)):
            raise WebhookUnusable("The field holds a null character.", field=name)


def refuse_ambiguous(fields: QueryDict) -> None:
    """What a signature does not tell apart: it covers names and values as one run of text, and of
    a field that comes twice not which comes last. Raises WebhookUnusable."""
    for name, values in fields.lists():
        if len(values) > 1:
            raise WebhookUnusable("The field comes more than once.", field=name)
    if not _SEQUENCE.fullmatch(fields.get("SequenceNumber", "")):
        raise WebhookUnusable("SequenceNumber is no number.", field="SequenceNumber")


def refuse_stale(fields: QueryDict) -> None:
    """A replay long after, when what it repeats may have been forgotten. Raises WebhookStale."""
    if _read_timestamp(fields.get("Timestamp", "")) < timezone.now() - LONGEST_ON_ITS_WAY:
        raise WebhookStale


def read_call_id(fields: QueryDict) -> str:
    """The CallSid. Raises WebhookUnusable."""
    call_id = fields.get("CallSid", "")
    if not _CALL_SID.fullmatch(call_id):
        raise WebhookUnusable("CallSid is missing or is none.", field="CallSid")
    return call_id


def read_status(fields: QueryDict) -> str:
    """Twilio's word for the call's state. Raises WebhookUnusable."""
    status = fields.get("CallStatus", "")
    if not 0 < len(status) <= 32:
        raise WebhookUnusable("CallStatus is missing or is none.", field="CallStatus")
    return status


def to_report(fields: QueryDict, *, attempt_id: str) -> CallReport | None:
    """What a webhook says of its call; None where its CallStatus is no word that we know."""
    status = STATUSES.get(read_status(fields))
    if status is None:
        return None
    is_inbound = fields.get("Direction", "") == "inbound"
    return CallReport(
        call_id=read_call_id(fields),
        status=status,
        at=_read_timestamp(fields.get("Timestamp", "")),
        attempt_id=attempt_id,
        duration=_read_seconds(fields.get("CallDuration", "")),
        answered_by=fields.get("AnsweredBy", "")[:32],
        sip_response_code=fields.get("SipResponseCode", "")[:8],
        phone=fields.get("From" if is_inbound else "To", "")[:64],
        is_inbound=is_inbound,
    )


def _read_timestamp(raw: str) -> datetime:
    try:
        moment = parsedate_to_datetime(raw)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return timezone.now()


def _read_seconds(raw: str) -> int | None:
    if raw.isascii() and raw.isdigit() and len(raw) < 10:
        return min(int(raw), _LONGEST_CALL)
    return None
