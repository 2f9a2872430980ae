"""With which error does the carrier turn a request down? Codes: twilio.com/docs/api/errors."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of Twilio's errors: its HTTP status, its code and a sentence."""

    status: int
    code: int
    message: str
    headers: tuple[tuple[str, str], ...] = ()

    def about(self, subject: str) -> Self:
        """The same refusal with its `{}` filled in."""
        return replace(self, message=self.message.format(subject))

    def body(self) -> dict[str, object]:
        """The JSON of Twilio's error answers."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


class RefusedError(Exception):
    """The carrier turns the request down."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


UNAUTHENTICATED = Refusal(
    401,
    20003,
    "Authentication failed: the account SID or the token is wrong",
    headers=(("www-authenticate", 'Basic realm="Twilio API"'),),
)
NOT_FOUND = Refusal(404, 20404, "The requested resource {} was not found")
METHOD_NOT_ALLOWED = Refusal(405, 20004, "The method {} is not allowed here")

NO_TO = Refusal(400, 21201, "No 'To' number is specified")
NO_FROM = Refusal(400, 21213, "No 'From' number is specified")
INVALID_TO = Refusal(400, 21211, "The 'To' number {} is not a valid phone number")
NO_INSTRUCTIONS = Refusal(400, 21205, "One of Url, Twiml and ApplicationSid is required")
INVALID_URL = Refusal(400, 21205, "The Url {} is not a valid URL")
TWIML_TOO_LONG = Refusal(400, 32018, "The Twiml is longer than 4000 characters")
INVALID_TIMEOUT = Refusal(400, 21208, "The Timeout {} is not a whole number from 1 to 600")
INVALID_METHOD = Refusal(400, 21209, "The method {} is neither GET nor POST")
INVALID_CALLBACK = Refusal(400, 21609, "The StatusCallback {} is not a valid URL")
INVALID_EVENT = Refusal(400, 21626, "The StatusCallbackEvent {} is not valid")
INVALID_UPDATE = Refusal(400, 21200, "The Status {} is neither canceled nor completed")
INVALID_PAGE = Refusal(400, 20001, "The paging parameter {} is not valid")
NOT_IN_PROGRESS = Refusal(400, 21220, "Call is not in-progress. Cannot redirect.")

GEO_PERMISSION = Refusal(400, 21215, "The account has no permission to call {}")
CONCURRENCY = Refusal(400, 10004, "The account has reached its limit of concurrent calls")
TOO_MANY_REQUESTS = Refusal(429, 20429, "Too many requests", headers=(("retry-after", "1"),))
SERVER_ERROR = Refusal(500, 20500, "An internal server error has occurred")
UNAVAILABLE = Refusal(503, 20503, "The service is unavailable")
