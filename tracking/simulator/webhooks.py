"""What does a status webhook say?"""

from dataclasses import dataclass
from math import ceil
from uuid import uuid4

from tracking.simulator.calls import API_VERSION, Call, rfc_2822

_BLANK = dict.fromkeys(
    (
        f"{side}{place}"
        for side in ("Called", "Caller", "From", "To")
        for place in ("City", "Country", "State", "Zip")
    ),
    "",
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One thing to tell one URL; repeats carry the same token."""

    url: str
    method: str
    fields: dict[str, str]
    idempotency_token: str


def status_webhook(call: Call, *, url: str, account_sid: str) -> Webhook:
    """The webhook of what has just happened to the call."""
    order = call.order
    fields = _BLANK | {
        "AccountSid": account_sid,
        "ApiVersion": API_VERSION,
        "CallSid": call.sid,
        "CallStatus": call.status.value,
        "CallbackSource": "call-progress-events",
        "Called": order.to,
        "Caller": order.sender,
        "Direction": "outbound-api",
        "From": order.sender,
        "SequenceNumber": str(call.reports),
        "Timestamp": rfc_2822(call.updated_at) or "",
        "To": order.to,
    }
    if call.is_final:
        fields |= _final_fields(call)
    return Webhook(url, order.callback_method, fields, str(uuid4()))


def _final_fields(call: Call) -> dict[str, str]:
    fields = {
        "CallDuration": str(call.talked),
        "Duration": str(ceil(call.talked / 60)),
        "SipResponseCode": str(call.sip),
    }
    if call.answered_by:
        fields["AnsweredBy"] = call.answered_by
    return fields
