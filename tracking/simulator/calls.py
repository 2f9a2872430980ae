"""How does a call live, and how does the REST API show it?"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from zlib import crc32

from tracking.simulator.orders import Order
from tracking.simulator.outcomes import Event, Outcome, Status
from tracking.simulator.phone import formatted

API_VERSION = "2010-04-01"
FINAL = frozenset({Status.COMPLETED, Status.BUSY, Status.NO_ANSWER, Status.CANCELED, Status.FAILED})

_BEGINS = {Event.INITIATED: 0.25, Event.RINGING: 0.75}
_AT_ONCE = {Event.INITIATED: 0.0, Event.RINGING: 0.0}
_STATUS_OF = {
    Event.INITIATED: Status.INITIATED,
    Event.RINGING: Status.RINGING,
    Event.ANSWERED: Status.IN_PROGRESS,
}
_NOT_YET = {
    "date_created": None,
    "date_updated": None,
    "start_time": None,
    "status": Status.QUEUED,
}
_SUBRESOURCES = {
    "events": "Events",
    "notifications": "Notifications",
    "payments": "Payments",
    "recordings": "Recordings",
    "siprec": "Siprec",
    "streams": "Streams",
    "transcriptions": "Transcriptions",
    "user_defined_message_subscriptions": "UserDefinedMessageSubscriptions",
    "user_defined_messages": "UserDefinedMessages",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One turn in a call's life, in seconds after it was accepted."""

    after: float
    event: Event
    status: Status
    talked: int = 0
    """Seconds from the answer to the end."""


@dataclass(slots=True, eq=False)
class Call:
    """An accepted call; moments are seconds since the epoch."""

    sid: str
    ordinal: int
    order: Order
    outcome: Outcome
    created_at: float
    updated_at: float
    status: Status = Status.QUEUED
    dialled_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    talked: int = 0
    """Seconds from answer to end, on the carrier's own clock."""
    sip: int | None = None
    """The SIP status of the end."""
    reports: int = 0
    """Webhooks told so far; the next one's SequenceNumber."""
    deliveries: list[tuple[str, int | str]] = field(default_factory=list)
    """What each webhook said, and the receiver's HTTP status or the name of the failure."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the call."""
        return self.status in FINAL

    @property
    def rest_status(self) -> Status:
        """The status in the REST API's words, which know no initiated."""
        return Status.QUEUED if self.status == Status.INITIATED else self.status

    @property
    def answered_by(self) -> str | None:
        """What machine detection found, once it was asked for and the call was answered."""
        if not self.order.machine_detection or not self._was_answered:
            return None
        if not self.outcome.machine:
            return "human"
        waits = self.order.machine_detection == "DetectMessageEnd"
        return "machine_end_beep" if waits else "machine_start"

    @property
    def _was_answered(self) -> bool:
        return self.status in {Status.IN_PROGRESS, Status.COMPLETED}

    def move(self, status: Status, *, now: float) -> None:
        """The call turns to another status."""
        self.status = status
        self.updated_at = now
        self.dialled_at = self.dialled_at or now
        if status == Status.IN_PROGRESS:
            self.answered_at = now

    def end(self, status: Status, *, now: float, sip: int, talked: int) -> None:
        """The call is over after so many seconds of talk."""
        self.move(status, now=now)
        self.ended_at = now
        self.sip = sip
        self.talked = talked


def script(outcome: Outcome, order: Order) -> tuple[Step, ...]:
    """The whole life of a call; equal numbers live equal lives."""
    rings_for, talks_for = _spread(order.to)
    begins = _AT_ONCE if outcome.at_once else _BEGINS
    moments = begins | {Event.ANSWERED: begins[Event.RINGING] + rings_for}
    steps = [Step(moments[event], event, _STATUS_OF[event]) for event in outcome.before_end]
    talked = (outcome.talks or talks_for) if outcome.ends == Status.COMPLETED else 0
    silent = order.timeout if outcome.ends == Status.NO_ANSWER else rings_for
    ends_after = (steps[-1].after if steps else 0) + (talked or silent)
    return (*steps, Step(ends_after, Event.COMPLETED, outcome.ends, talked))


def new_resource(call: Call, *, account_sid: str) -> dict[str, object]:
    """The call as the answer to its create shows it: queued, and without dates."""
    return resource(call, account_sid=account_sid) | _NOT_YET


def resource(call: Call, *, account_sid: str) -> dict[str, object]:
    """The call as Twilio's JSON."""
    base = f"/{API_VERSION}/Accounts/{account_sid}/Calls/{call.sid}"
    return {
        "account_sid": account_sid,
        "annotation": None,
        "answered_by": call.answered_by,
        "api_version": API_VERSION,
        "caller_name": None,
        "date_created": rfc_2822(call.created_at),
        "date_updated": rfc_2822(call.updated_at),
        "direction": "outbound-api",
        "duration": str(call.talked) if call.is_final else None,
        "end_time": rfc_2822(call.ended_at),
        "forwarded_from": None,
        "from": call.order.sender,
        "from_formatted": formatted(call.order.sender),
        "group_sid": None,
        "parent_call_sid": None,
        "phone_number_sid": None,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "sid": call.sid,
        "start_time": rfc_2822(call.dialled_at),
        "status": call.rest_status,
        "subresource_uris": {name: f"{base}/{path}.json" for name, path in _SUBRESOURCES.items()},
        "to": call.order.to,
        "to_formatted": formatted(call.order.to),
        "trunk_sid": None,
        "uri": f"{base}.json",
    }


def ledger_entry(call: Call) -> dict[str, object]:
    """The call as people and tests count it."""
    return {
        "sid": call.sid,
        "to": call.order.to,
        "from": call.order.sender,
        "status": call.rest_status.value,
        "outcome": call.outcome.title,
        "status_callback": call.order.callback,
        "created_at": _iso_8601(call.created_at),
        "ended_at": _iso_8601(call.ended_at),
        "webhooks": [{"status": said, "answer": answer} for said, answer in call.deliveries],
    }


def rfc_2822(moment: float | None) -> str | None:
    """Seconds since the epoch as Twilio writes a moment, always in UTC."""
    return None if moment is None else format_datetime(datetime.fromtimestamp(moment, UTC))


def _iso_8601(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


def _spread(number: str) -> tuple[float, int]:
    """Seconds of ringing, 1 to 3, and of talk, 5 to 20, fixed for a number."""
    seed = crc32(number.encode())
    return 1 + seed % 2001 / 1000, 5 + seed // 2001 % 16
