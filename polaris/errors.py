"""Every error that an answer can carry: one catalogue, and the exceptions that stand for it."""

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from django.utils import timezone


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """An entry of the catalogue: what `error_code` an answer carries, its HTTP status, and when."""

    code: str
    status: int
    meaning: str


_CATALOGUE: dict[str, ErrorCode] = {}


def _code(code: str, status: int, meaning: str) -> ErrorCode:
    entry = _CATALOGUE[code] = ErrorCode(code, status, meaning)
    return entry


INVALID_PHONE = _code("SCHEDULE_001", 400, "The phone number is not E.164.")
INVALID_TIME = _code("SCHEDULE_002", 400, "A time or time zone is invalid, or the time is past.")
MISSING_DATA = _code("SCHEDULE_003", 400, "A required field is missing or empty.")
SCHEDULE_NOT_FOUND = _code("SCHEDULE_004", 404, "There is no such schedule.")
ILLEGAL_TRANSITION = _code("SCHEDULE_005", 409, "Not allowed in the schedule's present state.")
INVALID_REPEAT_CONFIG = _code("SCHEDULE_006", 400, "The repeat_config cannot be followed.")
INVALID_FIELD = _code("SCHEDULE_007", 400, "A field is unknown or its value is not allowed.")
SCHEDULER_FAILURE = _code("SCHEDULE_008", 500, "The next call could not be armed.")
INVALID_CALLING_WINDOW = _code(
    "SCHEDULE_009", 400, "The calling_window cannot be kept, or no call lies within it."
)
INVALID_RETRY_POLICY = _code("SCHEDULE_010", 400, "The retry_policy cannot be followed.")

LOG_NOT_FOUND = _code("TRACKING_001", 404, "There is no such call log.")

WEBHOOK_NOT_SIGNED = _code("WEBHOOK_001", 403, "The webhook is not signed by our account.")
WEBHOOK_UNUSABLE = _code("WEBHOOK_002", 400, "A signed webhook lacks CallSid or CallStatus.")
WEBHOOK_STALE = _code("WEBHOOK_003", 400, "A signed webhook tells of something long past.")

NOT_AUTHENTICATED = _code("AUTH_001", 401, "No token or admin session was sent.")
WRONG_CREDENTIALS = _code("AUTH_002", 401, "The username or password is wrong.")
INVALID_TOKEN = _code("AUTH_003", 401, "The token is malformed, expired or of the wrong kind.")
FORBIDDEN = _code("AUTH_004", 403, "Signed in, but not allowed to do this.")
AGENT_NOT_GRANTED = _code("AUTH_005", 403, "The account may not act for this agent instance.")
WRONG_AGENT = _code("AUTH_006", 403, "The token is for another agent instance.")
ISSUER_AWAY = _code(
    "AUTH_007", 503, "The keys of the token's issuer cannot be had; Retry-After says when to retry."
)

THROTTLED = _code("THROTTLE_001", 429, "Too many requests; Retry-After says when to try again.")

MALFORMED_BODY = _code("REQUEST_001", 400, "The body cannot be parsed.")
PATH_NOT_FOUND = _code("REQUEST_002", 404, "There is nothing at this path.")
METHOD_NOT_ALLOWED = _code("REQUEST_003", 405, "The path does not take this method.")
UNSUPPORTED_MEDIA_TYPE = _code("REQUEST_004", 415, "The body's Content-Type is not taken here.")
NOT_ACCEPTABLE = _code("REQUEST_005", 406, "The answer cannot be given in the form asked for.")
BODY_TOO_LARGE = _code("REQUEST_006", 413, "The body is larger than this server reads.")
INVALID_QUERY = _code("REQUEST_007", 400, "A query parameter is unknown or its value is invalid.")
BAD_REQUEST = _code("REQUEST_008", 400, "The request cannot be taken as it is.")
ADDRESS_TOO_LONG = _code("REQUEST_009", 414, "The path and the query are too long.")

DATABASE_FAILURE = _code("SYSTEM_001", 500, "The database did not do its part.")
UNEXPECTED_FAILURE = _code("SYSTEM_002", 500, "Something failed on our side.")
DATABASE_AWAY = _code(
    "SYSTEM_003", 503, "The database is away or busy; Retry-After says when to try again."
)
UNREADABLE = _code(
    "SYSTEM_004", 500, "What is kept here cannot be read: its encryption key is missing."
)
NOT_READY = _code(
    "SYSTEM_005", 503, "The database lacks tables that this version needs: migrations must run."
)

CATALOGUE: dict[str, ErrorCode] = dict(_CATALOGUE)


class PolarisError(Exception):
    """An error that an answer can carry. `field` names what was wrong, `issue` says how."""

    error: ClassVar[ErrorCode] = UNEXPECTED_FAILURE
    field: str = ""

    def __init__(self, issue: str = "", *, field: str | None = None) -> None:
        self.issue = issue or self.error.meaning
        if field is not None:
            self.field = field
        super().__init__(self.issue)


class InvalidPhone(PolarisError):
    """The phone number is not E.164."""

    error = INVALID_PHONE
    field = "phone"


class InvalidTime(PolarisError):
    """The time is invalid or past."""

    error = INVALID_TIME
    field = "scheduled_time"


class InvalidRepetition(PolarisError):
    """The repeat_config cannot be followed."""

    error = INVALID_REPEAT_CONFIG
    field = "repeat_config"


class InvalidWindow(PolarisError):
    """The calling_window cannot be kept."""

    error = INVALID_CALLING_WINDOW
    field = "calling_window"


class OutsideWindow(InvalidWindow):
    """The call lies outside its calling window."""

    field = "scheduled_time"


class InvalidRetries(PolarisError):
    """The retry_policy cannot be followed."""

    error = INVALID_RETRY_POLICY
    field = "retry_policy"


class MissingData(PolarisError):
    """A required field is missing or empty."""

    error = MISSING_DATA


class ScheduleNotFound(PolarisError):
    """There is no such schedule."""

    error = SCHEDULE_NOT_FOUND
    field = "schedule_id"


class CallLogNotFound(PolarisError):
    """There is no such call log."""

    error = LOG_NOT_FOUND
    field = "log_id"


class IllegalTransition(PolarisError):
    """Not allowed in the schedule's present state."""

    error = ILLEGAL_TRANSITION
    field = "status"


class ChangedMeanwhile(IllegalTransition):
    """Somebody else has changed the schedule since it was read."""


class SchedulerFailure(PolarisError):
    """The next call could not be armed."""

    error = SCHEDULER_FAILURE
    field = "scheduled_time"


class AgentNotGranted(PolarisError):
    """The account may not act for this agent instance."""

    error = AGENT_NOT_GRANTED
    field = "agent_instance_id"


class WrongAgent(PolarisError):
    """The token is for another agent instance."""

    error = WRONG_AGENT
    field = "agent_instance_id"


class MustWait(PolarisError):
    """Too many requests. `seconds` says how long to wait."""

    error = THROTTLED
    field = "rate"

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__(f"Too many attempts. Try again in {self.seconds} s.")


class IssuerAway(PolarisError):
    """The keys of the token's issuer cannot be had."""

    error = ISSUER_AWAY
    field = "Authorization"
    seconds = 30


class NotReady(PolarisError):
    """The database lacks tables that this version needs."""

    error = NOT_READY
    field = "migrations"
    seconds = 5


class WebhookNotSigned(PolarisError):
    """The webhook is not signed by our account."""

    error = WEBHOOK_NOT_SIGNED
    field = "X-Twilio-Signature"


class WebhookUnusable(PolarisError):
    """A signed webhook lacks CallSid or CallStatus."""

    error = WEBHOOK_UNUSABLE


class WebhookStale(PolarisError):
    """A signed webhook tells of something long past."""

    error = WEBHOOK_STALE
    field = "Timestamp"


def error_body(error: ErrorCode, *, message: str, field: str, issue: str) -> dict[str, Any]:
    """The contract's error format; `timestamp` is UTC."""
    return {
        "status": "error",
        "message": message,
        "error_code": error.code,
        "details": {"field": field, "issue": issue},
        "timestamp": timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def code_for_status(status: int) -> ErrorCode:
    """The entry for an answer of the framework of which only the HTTP status is known."""
    known = {
        401: NOT_AUTHENTICATED,
        403: FORBIDDEN,
        404: PATH_NOT_FOUND,
        405: METHOD_NOT_ALLOWED,
        406: NOT_ACCEPTABLE,
        413: BODY_TOO_LARGE,
        414: ADDRESS_TOO_LONG,
        415: UNSUPPORTED_MEDIA_TYPE,
        429: THROTTLED,
    }
    if status in known:
        return known[status]
    return UNEXPECTED_FAILURE if status >= HTTPStatus.INTERNAL_SERVER_ERROR else BAD_REQUEST


class Unreadable(PolarisError):
    """What is kept cannot be read."""

    error = UNREADABLE
