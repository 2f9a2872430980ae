"""What becomes of a call? The last two digits of the called number say it."""

import sys
from dataclasses import dataclass
from enum import StrEnum

from tracking.simulator.refusals import (
    CONCURRENCY,
    GEO_PERMISSION,
    INVALID_TO,
    SERVER_ERROR,
    TOO_MANY_REQUESTS,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Refusal,
)


class Status(StrEnum):
    """A call's status, in webhooks' words; the REST API says queued for initiated."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"
    FAILED = "failed"


class Event(StrEnum):
    """What StatusCallbackEvent can ask for; completed stands for every end."""

    INITIATED = "initiated"
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"


class Answer(StrEnum):
    """How the create of an accepted call is answered."""

    CREATED = "201"
    ERROR = "an error"
    LATE = "201, late"
    AFTER_WEBHOOKS = "201, after the first webhooks"
    RESET = "a connection reset"
    TRUNCATED = "half a 201"


class Delivery(StrEnum):
    """How the webhooks of a call travel."""

    ONCE = "once each, in order"
    TWICE = "twice each"
    FINAL_FIRST = "the final one first"
    NEVER = "never"


ALWAYS = sys.maxsize
_ANSWERED = (Event.INITIATED, Event.RINGING, Event.ANSWERED)
_RINGS = (Event.INITIATED, Event.RINGING)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one ending of a number brings about; the defaults are an ordinary answered call."""

    digits: str
    title: str
    sentence: str
    refuses: int = 0
    """How many creates to the same number are refused before one is accepted."""
    refusal: Refusal | None = None
    """The error of a refused or failing create; without one, a refused create is cut off."""
    answer: Answer = Answer.CREATED
    before_end: tuple[Event, ...] = _ANSWERED
    ends: Status = Status.COMPLETED
    sip: int = 200
    at_once: bool = False
    """The events before the answer happen the moment the call is accepted."""
    talks: int | None = None
    """Seconds from the answer to the end; None derives them from the number."""
    machine: bool = False
    delivery: Delivery = Delivery.ONCE
    listed_after: float = 0
    """Seconds for which lists leave the call out."""


_LISTED = (
    Outcome(
        "01",
        "Busy",
        "Rings and is engaged (SIP 486).",
        before_end=_RINGS,
        ends=Status.BUSY,
        sip=486,
    ),
    Outcome(
        "02",
        "No answer",
        "Rings until Timeout, 60 seconds by default (SIP 487).",
        before_end=_RINGS,
        ends=Status.NO_ANSWER,
        sip=487,
    ),
    Outcome(
        "03",
        "Failed, no such number",
        "Fails without ringing (SIP 404).",
        before_end=(Event.INITIATED,),
        ends=Status.FAILED,
        sip=404,
    ),
    Outcome(
        "04",
        "Canceled by the carrier",
        "Rings and is canceled, though nobody asked (SIP 487).",
        before_end=_RINGS,
        ends=Status.CANCELED,
        sip=487,
    ),
    Outcome("05", "Long call", "Is answered and lasts ten minutes.", talks=600),
    Outcome(
        "06",
        "Answering machine",
        "Is answered by a machine; AnsweredBy says so if MachineDetection was asked for.",
        machine=True,
    ),
    Outcome(
        "07",
        "Failed, network trouble",
        "Fails without ringing (SIP 503).",
        before_end=(Event.INITIATED,),
        ends=Status.FAILED,
        sip=503,
    ),
    Outcome(
        "11",
        "Wrong number",
        "Refused with 400 and code 21211.",
        refuses=ALWAYS,
        refusal=INVALID_TO,
    ),
    Outcome(
        "12",
        "No permission for the country",
        "Refused with 400 and code 21215.",
        refuses=ALWAYS,
        refusal=GEO_PERMISSION,
    ),
    Outcome(
        "13",
        "Credentials refused",
        "Refused with 401 and code 20003, though they are right.",
        refuses=ALWAYS,
        refusal=UNAUTHENTICATED,
    ),
    Outcome(
        "14",
        "Too many requests",
        "The first two creates to this number get 429 with code 20429 and Retry-After; "
        "later ones are accepted.",
        refuses=2,
        refusal=TOO_MANY_REQUESTS,
    ),
    Outcome(
        "15",
        "Error, but accepted",
        "Answers 500 with code 20500; the call goes on and its webhooks come.",
        answer=Answer.ERROR,
        refusal=SERVER_ERROR,
    ),
    Outcome(
        "16",
        "Unavailable, not accepted",
        "Answers 503 with code 20503; no call is made.",
        refuses=ALWAYS,
        refusal=UNAVAILABLE,
    ),
    Outcome(
        "17",
        "Late answer",
        "Accepts, and answers 201 only after the late answer's seconds (30 by default).",
        answer=Answer.LATE,
    ),
    Outcome(
        "18",
        "Reset after accepting",
        "Accepts, then resets the connection without an answer; the webhooks come.",
        answer=Answer.RESET,
    ),
    Outcome(
        "19",
        "Truncated answer",
        "Accepts, sends half of the 201's body and closes; the webhooks come.",
        answer=Answer.TRUNCATED,
    ),
    Outcome(
        "20",
        "No webhooks",
        "Is answered and ends, and nobody is told.",
        delivery=Delivery.NEVER,
    ),
    Outcome(
        "21",
        "Webhooks out of order",
        "The final webhook comes first, then the earlier ones.",
        delivery=Delivery.FINAL_FIRST,
    ),
    Outcome(
        "22",
        "Webhooks twice",
        "Every webhook comes twice, with the same sequence number and idempotency token.",
        delivery=Delivery.TWICE,
    ),
    Outcome(
        "23",
        "Webhooks before the answer",
        "The webhooks of initiated and ringing, if asked for, are delivered before the create "
        "is answered.",
        answer=Answer.AFTER_WEBHOOKS,
        at_once=True,
    ),
    Outcome(
        "24",
        "Reset before accepting",
        "Resets the connection without an answer; no call is made.",
        refuses=ALWAYS,
    ),
    Outcome(
        "25",
        "Concurrency limit",
        "Refused with 400 and code 10004.",
        refuses=ALWAYS,
        refusal=CONCURRENCY,
    ),
    Outcome(
        "26",
        "Ends without ringing",
        "Completes, and the final webhook is the only one.",
        before_end=(),
    ),
    Outcome(
        "27",
        "Lost, and late in the list",
        "Accepts, then resets the connection; no webhook ever comes, and lists show the call "
        "only after 15 seconds.",
        answer=Answer.RESET,
        delivery=Delivery.NEVER,
        listed_after=15,
    ),
)

OUTCOMES = {outcome.digits: outcome for outcome in _LISTED}
ANSWERED = Outcome("", "Answered", "Rings for 1 to 3 seconds, is answered, lasts 5 to 20 seconds.")


def outcome_for(number: str) -> Outcome:
    """What awaits a call to this number; a number that is not in the table is answered."""
    return OUTCOMES.get(number[-2:], ANSWERED)
